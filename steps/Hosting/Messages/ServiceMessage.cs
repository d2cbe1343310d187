using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace CiSteps.Hosting.Messages;

/// <summary>
/// One TeamCity service message: written with <see cref="ToString"/>, read strictly with <see cref="TryParse"/>.
/// </summary>
/// <param name="Name">The message's name, such as <c>buildProblem</c>.</param>
/// <param name="Value">The single value of the short form; null when the message has attributes.</param>
/// <param name="Attributes">Attributes in the order they are written.</param>
public sealed record ServiceMessage(string Name, string? Value, IReadOnlyList<KeyValuePair<string, string>> Attributes)
{
    /// <summary>What every message begins with.</summary>
    public const string Start = "##teamcity[";

    /// <summary>A message with attributes.</summary>
    public static ServiceMessage With(string name, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        var list = new List<KeyValuePair<string, string>>(attributes.Length);
        foreach (var (key, value) in attributes) list.Add(new(key, value));
        return new(name, null, list);
    }

    /// <summary>A message of the short form, with one value and no attribute name.</summary>
    public static ServiceMessage Of(string name, string value) => new(name, value, []);

    /// <summary>The attribute's value, or null.</summary>
    public string? this[string attribute] =>
        Attributes.Where(pair => pair.Key == attribute).Select(pair => pair.Value).FirstOrDefault();

    /// <summary>TeamCity's timestamp form: milliseconds, and an offset without a colon.</summary>
    public static string Timestamp(DateTimeOffset time) =>
        time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff", CultureInfo.InvariantCulture) +
        time.ToString("zzz", CultureInfo.InvariantCulture).Replace(":", "", StringComparison.Ordinal);

    /// <summary>The message as one line of ASCII, without line end.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Start).Append(Name);
        if (Value is not null) text.Append(" '").Append(Escape(Value)).Append('\'');
        foreach (var (key, value) in Attributes) text.Append(' ').Append(key).Append("='").Append(Escape(value)).Append('\'');
        return text.Append(']').ToString();
    }

    /// <summary>
    /// Escapes a value; each UTF-16 unit above 127 becomes <c>|0xhhhh</c>, so no console encoding can spoil it.
    /// </summary>
    public static string Escape(string value)
    {
        var text = new StringBuilder(value.Length + 16);
        foreach (var unit in value)
        {
            _ = unit switch
            {
                '|' => text.Append("||"),
                '\'' => text.Append("|'"),
                '\n' => text.Append("|n"),
                '\r' => text.Append("|r"),
                '[' => text.Append("|["),
                ']' => text.Append("|]"),
                '\u0085' => text.Append("|x"),
                '\u2028' => text.Append("|l"),
                '\u2029' => text.Append("|p"),
                > '\u007f' => text.Append("|0x").Append(((int)unit).ToString("x4", CultureInfo.InvariantCulture)),
                _ => text.Append(unit),
            };
        }
        return text.ToString();
    }

    /// <summary>
    /// Reads a whole line as one message. Leading white space is allowed, as the server allows it; anything else that is not
    /// exactly a message is not one.
    /// </summary>
    public static bool TryParse(string line, [NotNullWhen(true)] out ServiceMessage? message)
    {
        message = null;
        var text = line.AsSpan().Trim();
        if (!text.StartsWith(Start, StringComparison.Ordinal) || text[^1] != ']') return false;
        text = text[Start.Length..^1];
        var length = IdentifierLength(text);
        if (length == 0) return false;
        var name = text[..length].ToString();
        text = text[length..].TrimStart();
        if (!text.IsEmpty && text[0] == '\'')
        {
            if (!TryReadValue(ref text, out var single) || !text.Trim().IsEmpty) return false;
            message = Of(name, single);
            return true;
        }
        var attributes = new List<KeyValuePair<string, string>>();
        while (!text.IsEmpty)
        {
            length = IdentifierLength(text);
            if (length == 0) return false;
            var key = text[..length].ToString();
            text = text[length..].TrimStart();
            if (text.IsEmpty || text[0] != '=') return false;
            text = text[1..].TrimStart();
            if (!TryReadValue(ref text, out var value)) return false;
            attributes.Add(new(key, value));
            text = text.TrimStart();
        }
        message = new(name, null, attributes);
        return true;
    }

    private static int IdentifierLength(ReadOnlySpan<char> text)
    {
        var length = 0;
        while (length < text.Length
            && (char.IsAsciiLetter(text[length])
                || (length > 0 && (char.IsAsciiDigit(text[length]) || text[length] is '_' or '.' or '-'))))
            length++;
        return length;
    }

    private static bool TryReadValue(ref ReadOnlySpan<char> text, out string value)
    {
        value = "";
        if (text.IsEmpty || text[0] != '\'') return false;
        var read = new StringBuilder();
        var at = 1;
        while (at < text.Length && text[at] != '\'')
        {
            if (text[at] is '[' or ']' or '\n' or '\r') return false;
            if (text[at] != '|')
            {
                read.Append(text[at++]);
                continue;
            }
            if (at + 1 >= text.Length) return false;
            var escaped = text[at + 1];
            at += 2;
            if (escaped == '0')
            {
                if (at + 5 > text.Length || text[at] != 'x' ||
                    !ushort.TryParse(
                        text.Slice(at + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit))
                    return false;
                read.Append((char)unit);
                at += 5;
                continue;
            }
            var plain = escaped switch
            {
                '|' or '\'' or '[' or ']' => escaped,
                'n' => '\n',
                'r' => '\r',
                'x' => '\u0085',
                'l' => '\u2028',
                'p' => '\u2029',
                _ => '\0',
            };
            if (plain == '\0') return false;
            read.Append(plain);
        }
        if (at >= text.Length) return false;
        value = read.ToString();
        text = text[(at + 1)..];
        return true;
    }
}
