using System.Text;

namespace CiSteps.TestReports.Lines;

/// <summary>
/// The top-level values of a TAP point's YAML block. Producers write it by hand and often not quite right, so it is read by lines
/// and never fails.
/// </summary>
internal sealed class TapDiagnostics
{
    private static readonly string[] Wanted = ["expected", "wanted", "want", "expect"];
    private static readonly string[] Found = ["found", "got", "actual", "received", "have"];
    private readonly Dictionary<string, string> values = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>What failed: a message, or what was expected and what came instead; null when neither is there.</summary>
    public string? Message
    {
        get
        {
            if ((Find("error") ?? Find("message")) is { } message) return message;
            var (expected, actual) = (First(Wanted), First(Found));
            var operation = Find("operator") is { } word ? $" ({word})" : "";
            return expected is not null && actual is not null ? $"expected {expected}, found {actual}{operation}"
                : actual is not null ? $"found {actual}{operation}"
                : expected is not null ? $"expected {expected}{operation}"
                : Find("reason")
                    ?? Find("description")
                    ?? Find("failureType")
                    ?? Find("exception")
                    ?? Find("stack")?.Split('\n')[0];
        }
    }

    public string? Find(string key) => values.TryGetValue(key, out var value) && value.Length > 0 ? value : null;

    public static TapDiagnostics Read(string block)
    {
        var diagnostics = new TapDiagnostics();
        string? key = null;
        var value = "";
        var below = new List<string>();
        void End()
        {
            if (key is not null) diagnostics.values.TryAdd(key, Value(value, below));
            key = null;
            below.Clear();
        }
        var lines = block.Split('\n');
        // Some writers indent the whole block once more.
        var outer = lines.Where(line => line.Trim().Length > 0).Select(Indent).DefaultIfEmpty(0).Min();
        foreach (var whole in lines)
        {
            var line = whole[Math.Min(Indent(whole), outer)..];
            if (key is not null
                && (line.Trim().Length == 0 || char.IsWhiteSpace(line[0]) || line.StartsWith("- ", StringComparison.Ordinal)))
            {
                below.Add(line);
                continue;
            }
            End();
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || line[0] is ' ' or '-' or '#' || colon + 1 < line.Length
                && line[colon + 1] is not (' ' or '\t')) continue;
            key = Plain(line[..colon].Trim());
            value = line[(colon + 1)..].Trim();
        }
        End();
        return diagnostics;
    }

    private static string Value(string first, List<string> below)
    {
        var indent = below.Where(line => line.Trim().Length > 0).Select(Indent).DefaultIfEmpty(0).Min();
        var lines = below.Select(line => line[Math.Min(Indent(line), indent)..]).ToList();
        if (first.Length > 0 && first[0] is '|' or '>' && first.Length <= 3) return string.Join('\n', lines).Trim('\n');
        if (first.Length == 0) return string.Join('\n', lines).Trim('\n');
        // A text that goes on over several lines.
        return Plain(string.Join(' ', lines.Select(line => line.Trim()).Where(line => line.Length > 0).Prepend(first)));
    }

    private static int Indent(string line) => line.Length - line.AsSpan().TrimStart(" \t").Length;

    private string? First(string[] keys) => keys.Select(Find).FirstOrDefault(value => value is not null);

    private static string Plain(string value) => value switch
    {
        ['\'', .. var inner, '\''] => inner.Replace("''", "'", StringComparison.Ordinal),
        ['"', .. var inner, '"'] => Unescaped(inner),
        "null" or "~" => "",
        _ => value,
    };

    private static string Unescaped(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length; at++)
        {
            if (text[at] != '\\' || at + 1 == text.Length) plain.Append(text[at]);
            else plain.Append(text[++at] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', var unit => unit });
        }
        return plain.ToString();
    }
}
