using System.Text;
using System.Text.RegularExpressions;

namespace CiSteps.Images;

/// <summary>Go's regular expressions as far as ignore patterns make them, as .NET's.</summary>
internal static class GoExpression
{
    private static readonly Dictionary<string, string> Named = new(StringComparer.Ordinal)
    {
        ["alnum"] = "0-9A-Za-z",
        ["alpha"] = "A-Za-z",
        ["ascii"] = "\\x00-\\x7F",
        ["blank"] = "\\t ",
        ["cntrl"] = "\\x00-\\x1F\\x7F",
        ["digit"] = "0-9",
        ["graph"] = "!-~",
        ["lower"] = "a-z",
        ["print"] = " -~",
        ["punct"] = "!-/:-@\\[-`{-~",
        ["space"] = "\\t\\n\\v\\f\\r ",
        ["upper"] = "A-Z",
        ["word"] = "0-9A-Za-z_",
        ["xdigit"] = "0-9A-Fa-f",
    };

    /// <summary>
    /// The same expression for .NET; null when Go takes it for a mistake, or it has what no ignore pattern needs (octal and
    /// hexadecimal numbers, Unicode classes, quoting).
    /// </summary>
    public static Regex? Translate(string go)
    {
        var text = new StringBuilder();
        for (var at = 0; at < go.Length;)
        {
            var character = go[at++];
            if (character == '[')
            {
                if (Class(go, ref at) is not { } known) return null;
                text.Append(known);
            }
            else if (character == '\\')
            {
                if (at >= go.Length || Escape(go[at++], isInClass: false) is not { } known) return null;
                text.Append(known);
            }
            // In .NET "$" is also before a last line end.
            else if (character == '$') text.Append("\\z");
            else
                text.Append(
                    character is '^' or '(' or ')' or '.' or '*' or '?'
                        ? character.ToString()
                        : Regex.Escape(character.ToString()));
        }
        return new Regex(text.ToString(), RegexOptions.CultureInvariant);
    }

    // A character is a character here, and half of one in .NET where it is beyond the first 65,536.
    private const string Halves = "\\uD800-\\uDFFF";
    private const string Pair = "[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]";

    private static string? Class(string go, ref int at)
    {
        var (text, pairs) = (new StringBuilder(), new List<string>());
        var isNegated = at < go.Length && go[at] == '^';
        if (isNegated) at++;
        for (var isFirst = true; isFirst || at >= go.Length || go[at] != ']'; isFirst = false)
        {
            if (at >= go.Length) return null;
            if (go.AsSpan(at).StartsWith("[:") && go.IndexOf(":]", at + 2, StringComparison.Ordinal) is var end and >= 0)
            {
                if (!Named.TryGetValue(go[(at + 2)..end], out var members)) return null;
                text.Append(members);
                at = end + 2;
                continue;
            }
            if (char.IsHighSurrogate(go[at]) && at + 2 < go.Length && char.IsLowSurrogate(go[at + 1]))
            {
                // A range that begins there is more than an ignore pattern needs.
                if (go[at + 2] == '-' && at + 3 < go.Length && go[at + 3] != ']') return null;
                pairs.Add(go.Substring(at, 2));
                at += 2;
                continue;
            }
            if (Member(go, ref at) is not { } low) return null;
            text.Append(low.Text);
            if (at + 1 >= go.Length || go[at] != '-' || go[at + 1] == ']' || low.Character is null) continue;
            at++;
            if (Member(go, ref at) is not { Character: { } high } last) return null;
            if (high < low.Character || char.IsSurrogate(high)) return null;
            text.Append('-').Append(last.Text);
        }
        at++;
        if (isNegated) return Negated(text.ToString(), pairs);
        var ways = text.Length > 0 ? pairs.Prepend($"[{text}]") : pairs;
        return pairs.Count == 0 ? $"[{text}]" : $"(?:{string.Join('|', ways)})";
    }

    private static string Negated(string members, IReadOnlyList<string> pairs) =>
        $"(?:[^{members}{Halves}]|{(pairs.Count == 0 ? "" : $"(?!{string.Join('|', pairs)})")}{Pair})";

    // A class such as \d is not a single character, and does not begin a range.
    private static (string Text, char? Character)? Member(string go, ref int at)
    {
        if (at >= go.Length) return null;
        var character = go[at++];
        if (character != '\\')
            return (character is '\\' or ']' or '[' or '^' or '-' ? "\\" + character : character.ToString(), character);
        if (at >= go.Length) return null;
        var escaped = go[at++];
        if (Escape(escaped, isInClass: true) is not { } known) return null;
        return (known, escaped switch
        {
            'a' => '\a',
            'f' => '\f',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\v',
            _ => char.IsAsciiLetter(escaped) ? null : escaped,
        });
    }

    private static string? Escape(char character, bool isInClass) => character switch
    {
        'a' or 'f' or 'n' or 'r' or 't' or 'v' => "\\" + character,
        'd' => isInClass ? "0-9" : "[0-9]",
        's' => isInClass ? "\\t\\n\\f\\r " : "[\\t\\n\\f\\r ]",
        'w' => isInClass ? "0-9A-Za-z_" : "[0-9A-Za-z_]",
        'D' when !isInClass => Negated("0-9", []),
        'S' when !isInClass => Negated("\\t\\n\\f\\r ", []),
        'W' when !isInClass => Negated("0-9A-Za-z_", []),
        'b' or 'B' or 'A' or 'z' when !isInClass => "\\" + character,
        _ => char.IsAscii(character) && !char.IsAsciiLetterOrDigit(character) ? "\\" + character : null,
    };
}
