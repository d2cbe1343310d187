using System.Text;

namespace CiSteps.TeamCity.Settings;

/// <summary>
/// How a parameter is shown and checked: a type and attributes, such as <c>select display='normal' data_1='a'</c>. Values are
/// escaped as in service messages.
/// </summary>
/// <param name="Type">Such as <c>text</c> or <c>password</c>.</param>
/// <param name="Attributes">Attributes by name, unescaped.</param>
internal sealed record ParameterSpec(string Type, IReadOnlyDictionary<string, string> Attributes)
{
    /// <summary>Reads one; null when it does not have the form.</summary>
    public static ParameterSpec? Parse(string text)
    {
        var rest = text.AsSpan().Trim();
        var end = rest.IndexOf(' ');
        var type = (end < 0 ? rest : rest[..end]).ToString();
        rest = end < 0 ? [] : rest[end..].TrimStart();
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        while (!rest.IsEmpty)
        {
            var equals = rest.IndexOf("='", StringComparison.Ordinal);
            if (equals <= 0 || rest[..equals].Contains(' ')) return null;
            var name = rest[..equals].ToString();
            rest = rest[(equals + 2)..];
            var value = new StringBuilder();
            var at = 0;
            for (; at < rest.Length && rest[at] != '\''; at++)
            {
                var escaped = rest[at] == '|';
                if (escaped && ++at >= rest.Length) return null;
                value.Append(escaped && rest[at] == 'n' ? '\n' : rest[at]);
            }
            if (at >= rest.Length) return null;
            attributes[name] = value.ToString();
            rest = rest[(at + 1)..].TrimStart();
        }
        return type.Length == 0 ? null : new(type, attributes);
    }

    /// <summary>The values that a select offers, in the order of their numbers.</summary>
    public IEnumerable<string> Choices =>
        Attributes.Where(attribute => attribute.Key.StartsWith("data_", StringComparison.Ordinal))
            .OrderBy(attribute => int.TryParse(attribute.Key.AsSpan("data_".Length), out var number) ? number : int.MaxValue)
                .Select(attribute => attribute.Value);
}
