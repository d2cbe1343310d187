using System.Globalization;

namespace CiSteps.Sandbox.Controllers;

/// <summary>A resource amount as Kubernetes writes it: "250m", "1.5", "128Mi", "2e3".</summary>
internal static class Quantity
{
    private static readonly (string Suffix, decimal Factor)[] Suffixes =
    [
        ("Ki", 1L << 10), ("Mi", 1L << 20), ("Gi", 1L << 30), ("Ti", 1L << 40), ("Pi", 1L << 50), ("Ei", 1L << 60),
        ("n", 0.000000001m), ("u", 0.000001m), ("m", 0.001m), ("k", 1e3m), ("M", 1e6m), ("G", 1e9m), ("T", 1e12m), ("P", 1e15m),
        ("E", 1e18m),
    ];

    public static bool TryParse(string? text, out decimal value)
    {
        value = 0;
        if (string.IsNullOrEmpty(text))
            return false;
        foreach (var (suffix, factor) in Suffixes)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal)
                && decimal.TryParse(
                    text.AsSpan(0, text.Length - suffix.Length),
                    NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign,
                    CultureInfo.InvariantCulture,
                    out var number))
            {
                value = number * factor;
                return true;
            }
        }

        return decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>The amount, or zero for what cannot be read.</summary>
    public static decimal Parse(string? text) => TryParse(text, out var value) ? value : 0;

    /// <summary>
    /// The amount in the canonical form of its kind: whole or milli for cpu and counts, binary suffixes where a memory amount
    /// divides evenly.
    /// </summary>
    public static string Format(decimal value, bool binary)
    {
        if (binary && value == decimal.Truncate(value))
        {
            var whole = (long)value;
            foreach (var (suffix, shift) in (ReadOnlySpan<(string, int)>)[
                ("Ei", 60),
                ("Pi", 50),
                ("Ti", 40),
                ("Gi", 30),
                ("Mi", 20),
                ("Ki", 10)
            ])
            {
                if (whole != 0 && whole % (1L << shift) == 0)
                    return (whole >> shift).ToString(CultureInfo.InvariantCulture) + suffix;
            }
        }

        return value == decimal.Truncate(value)
            ? decimal.Truncate(value).ToString(CultureInfo.InvariantCulture)
            : decimal.Ceiling(value * 1000).ToString(CultureInfo.InvariantCulture) + "m";
    }
}
