using System.Globalization;
using System.Text;

namespace CiSteps.Hosting.Options;

/// <summary>Java's .properties text: ISO-8859-1 with escapes, as TeamCity writes its build properties files.</summary>
public static class JavaProperties
{
    /// <summary>Reads a file; a later key wins over an earlier one.</summary>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> ReadFile(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path, Encoding.Latin1));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"cannot read the build properties file \"{path}\": {error.Message}", error);
        }
    }

    /// <summary>Reads text.</summary>
    public static IReadOnlyDictionary<string, string> Parse(string text)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in LogicalLines(text))
        {
            var end = 0;
            while (end < line.Length && line[end] is not ('=' or ':' or ' ' or '\t' or '\f'))
                end += line[end] == '\\' ? 2 : 1;
            end = Math.Min(end, line.Length);
            var at = end;
            while (at < line.Length && line[at] is ' ' or '\t' or '\f') at++;
            if (at < line.Length && line[at] is '=' or ':') at++;
            while (at < line.Length && line[at] is ' ' or '\t' or '\f') at++;
            values[Unescape(line[..end])] = Unescape(line[at..]);
        }
        return values;
    }

    /// <summary>Writes text that <see cref="Parse"/> and Java read back.</summary>
    public static string Write(IEnumerable<KeyValuePair<string, string>> values)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in values)
            text.Append(Escape(key, isKey: true)).Append('=').Append(Escape(value, isKey: false)).Append('\n');
        return text.ToString();
    }

    private static IEnumerable<string> LogicalLines(string text)
    {
        var logical = new StringBuilder();
        var continued = false;
        // Java knows these line ends only; a form feed or U+0085 is part of the text.
        foreach (var natural in text.Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n', '\r'))
        {
            var line = natural.TrimStart(' ', '\t', '\f');
            if (!continued && (line.Length == 0 || line[0] is '#' or '!')) continue;
            var backslashes = line.Length - line.TrimEnd('\\').Length;
            continued = backslashes % 2 == 1;
            if (continued)
            {
                logical.Append(line, 0, line.Length - 1);
                continue;
            }
            yield return logical.Append(line).ToString();
            logical.Clear();
        }
        if (logical.Length > 0) yield return logical.ToString();
    }

    private static string Unescape(string text)
    {
        if (!text.Contains('\\')) return text;
        var plain = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length; at++)
        {
            if (text[at] != '\\' || at + 1 == text.Length)
            {
                if (text[at] != '\\') plain.Append(text[at]);
                continue;
            }
            var escaped = text[++at];
            if (escaped == 'u' && at + 4 < text.Length &&
                ushort.TryParse(
                    text.AsSpan(at + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit))
            {
                plain.Append((char)unit);
                at += 4;
                continue;
            }
            plain.Append(escaped switch { 't' => '\t', 'n' => '\n', 'r' => '\r', 'f' => '\f', _ => escaped });
        }
        return plain.ToString();
    }

    private static string Escape(string text, bool isKey)
    {
        var escaped = new StringBuilder(text.Length + 8);
        for (var at = 0; at < text.Length; at++)
        {
            var unit = text[at];
            _ = unit switch
            {
                '\t' => escaped.Append("\\t"),
                '\n' => escaped.Append("\\n"),
                '\r' => escaped.Append("\\r"),
                '\f' => escaped.Append("\\f"),
                '\\' or ':' or '=' or '#' or '!' => escaped.Append('\\').Append(unit),
                ' ' when isKey || at == 0 => escaped.Append("\\ "),
                < ' ' or > '~' => escaped.Append("\\u").Append(((int)unit).ToString("X4", CultureInfo.InvariantCulture)),
                _ => escaped.Append(unit),
            };
        }
        return escaped.ToString();
    }
}
