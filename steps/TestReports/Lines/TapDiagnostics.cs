namespace CiSteps.TestReports.Lines;

/// <summary>The top-level scalars of a TAP point's YAML block. Producers write it by hand and often not quite right, so it is read by lines and never fails.</summary>
internal sealed class TapDiagnostics
{
    private readonly Dictionary<string, string> values = new(StringComparer.OrdinalIgnoreCase);

    public string? Find(string key) => values.TryGetValue(key, out var value) && value.Length > 0 ? value : null;

    public static TapDiagnostics Read(string block)
    {
        var found = new TapDiagnostics();
        string? key = null;
        var lines = new List<string>();
        foreach (var line in block.Split('\n'))
        {
            if (key is not null)
            {
                if (line.Length == 0 || line[0] == ' ')
                {
                    lines.Add(line.Length > 2 ? line[2..] : "");
                    continue;
                }
                found.values.TryAdd(key, string.Join('\n', lines).Trim('\n'));
                key = null;
            }
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || line[0] is ' ' or '-' or '#') continue;
            var value = line[(colon + 1)..].Trim();
            if (value is "|" or "|-" or "|+" or ">" or ">-" or ">+")
            {
                key = line[..colon].Trim();
                lines.Clear();
            }
            else found.values.TryAdd(line[..colon].Trim(), Unquote(value));
        }
        if (key is not null) found.values.TryAdd(key, string.Join('\n', lines).Trim('\n'));
        return found;
    }

    private static string Unquote(string value) => value switch
    {
        ['\'', .. var inner, '\''] => inner.Replace("''", "'", StringComparison.Ordinal),
        ['"', .. var inner, '"'] => inner.Replace("\\n", "\n", StringComparison.Ordinal).Replace("\\\"", "\"", StringComparison.Ordinal).Replace("\\\\", "\\", StringComparison.Ordinal),
        "null" or "~" => "",
        _ => value,
    };
}
