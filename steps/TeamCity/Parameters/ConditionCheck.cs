using System.Globalization;
using System.Text.RegularExpressions;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Parameters;

/// <summary>Whether a step's condition or a build's requirement holds.</summary>
public static class ConditionCheck
{
    /// <summary>Judges one condition; a parameter that is not set fails everything but the negative kinds.</summary>
    public static bool Holds(Condition condition, Func<string, string?> valueOf)
    {
        var actual = valueOf(condition.Name);
        var expected = condition.Value ?? "";
        return condition.Kind switch
        {
            "exists" or "any" => actual is not null,
            "not-exists" => actual is null,
            "equals" => actual == expected,
            "does-not-equal" => actual is not null && actual != expected,
            "contains" => actual?.Contains(expected, StringComparison.Ordinal) ?? false,
            "does-not-contain" => actual is null || !actual.Contains(expected, StringComparison.Ordinal),
            "starts-with" => actual?.StartsWith(expected, StringComparison.Ordinal) ?? false,
            "ends-with" => actual?.EndsWith(expected, StringComparison.Ordinal) ?? false,
            "matches" => actual is not null && Matches(actual, expected),
            "does-not-match" => actual is null || !Matches(actual, expected),
            "more-than" => Number(actual) > Number(expected),
            "no-more-than" => Number(actual) <= Number(expected),
            "less-than" => Number(actual) < Number(expected),
            "no-less-than" => Number(actual) >= Number(expected),
            "ver-more-than" => actual is not null && Versions(actual, expected) > 0,
            "ver-no-more-than" => actual is not null && Versions(actual, expected) <= 0,
            "ver-less-than" => actual is not null && Versions(actual, expected) < 0,
            "ver-no-less-than" => actual is not null && Versions(actual, expected) >= 0,
            _ => false,
        };
    }

    /// <summary>For people: <c>name contains "x"</c>.</summary>
    public static string Show(Condition condition) =>
        $"{condition.Name} {condition.Kind}" + (condition.Value is { } value ? $" \"{value}\"" : "");

    private static bool Matches(string text, string pattern)
    {
        try
        {
            return Regex.IsMatch(text, $"^(?:{pattern})$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(2));
        }
        catch (Exception error) when (error is ArgumentException or RegexMatchTimeoutException)
        {
            return false;
        }
    }

    private static double Number(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN;

    private static int Versions(string left, string right)
    {
        var a = left.Split('.', '-', '_');
        var b = right.Split('.', '-', '_');
        for (var at = 0; at < Math.Max(a.Length, b.Length); at++)
        {
            var x = at < a.Length ? a[at] : "0";
            var y = at < b.Length ? b[at] : "0";
            var order = long.TryParse(x, CultureInfo.InvariantCulture, out var m)
                && long.TryParse(y, CultureInfo.InvariantCulture, out var n)
                ? m.CompareTo(n) : string.CompareOrdinal(x, y);
            if (order != 0) return order;
        }
        return 0;
    }
}
