using System.Text;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// One line of an ignore file, matched as the engine's own client does: Go's path patterns with <c>**</c>, quirks included,
/// because they are part of what people rely on.
/// </summary>
internal sealed class IgnorePattern
{
    private enum Form
    {
        Exact,
        Prefix,
        Suffix,
        Expression,
    }

    private readonly string problem;
    private readonly Form form;
    private readonly Regex? expression;

    private IgnorePattern(string text, bool isException, string problem, Form form, Regex? expression) =>
        (Text, IsException, this.problem, this.form, this.expression) = (text, isException, problem, form, expression);

    /// <summary>The cleaned pattern, without the exclamation mark.</summary>
    public string Text { get; }

    /// <summary>Whether it takes back what earlier lines ignored.</summary>
    public bool IsException { get; }

    /// <summary>Reads a cleaned line.</summary>
    /// <exception cref="UsageException">It is not a pattern.</exception>
    public static IgnorePattern Parse(string line, string source)
    {
        var isException = line.StartsWith('!');
        var text = isException ? line[1..] : line;
        if (text.Length == 0) throw new UsageException($"{source}: \"!\" alone is not a pattern; say what it takes back");
        if (Fault(text) is { } fault) throw new UsageException($"{source}: \"{line}\" {fault}");
        var (form, go) = Translate(text);
        var expression = form == Form.Expression ? GoExpression.Translate(go) : null;
        return new IgnorePattern(
            text, isException, $"{source}: \"{line}\" is not a pattern that the engine's client understands", form, expression);
    }

    /// <exception cref="UsageException">The pattern means nothing. The client too finds that out only when it has a path to
    /// match.</exception>
    public bool Matches(string path) => form switch
    {
        Form.Exact => path == Text,
        Form.Prefix => path.StartsWith(Text[..^2], StringComparison.Ordinal),
        Form.Suffix =>
            path.EndsWith(Text[2..], StringComparison.Ordinal) || (Text.Length > 2 && Text[2] == '/' && path == Text[3..]),
        _ => (expression ?? throw new UsageException(problem)).IsMatch(path),
    };

    // What Go's filepath.Match takes for a mistake when the client tries a pattern on ".": between stars it reads on only as long
    // as it matches.
    private static string? Fault(string pattern)
    {
        var isDotLeft = true;
        for (var at = 0; at < pattern.Length;)
        {
            while (at < pattern.Length && pattern[at] == '*') at++;
            var (elements, takesDot) = (0, false);
            for (; at < pattern.Length && pattern[at] != '*'; elements++)
            {
                var from = at;
                if (Element(pattern, ref at) is { } fault) return fault;
                takesDot = elements == 0 && pattern[from..at] is var element
                    && (element is "." or "?" or "\\."
                        || (element[0] == '[' && GoExpression.Translate($"^{element}$")?.IsMatch(".") is true));
            }
            if (elements > 0 && !(isDotLeft && takesDot)) return null;
            isDotLeft &= elements == 0;
        }
        return null;
    }

    // A character, an escaped one, or a class: in that no "-" but between two characters, and no "]" as the first.
    private static string? Element(string pattern, ref int at)
    {
        var character = pattern[at++];
        if (character == '\\' && at++ == pattern.Length) return "ends with a backslash that escapes nothing";
        if (character != '[') return null;
        if (at < pattern.Length && pattern[at] == '^') at++;
        for (var members = 0; members == 0 || at >= pattern.Length || pattern[at] != ']'; members++)
        {
            if (!Member(pattern, ref at)) return Unclosed(pattern, at);
            if (pattern[at] != '-') continue;
            at++;
            if (!Member(pattern, ref at)) return Unclosed(pattern, at);
        }
        at++;
        return null;
    }

    private static string Unclosed(string pattern, int at) =>
        at >= pattern.Length
            ? "has a \"[\" without its \"]\""
            : $"has \"{pattern[at]}\" where a character of the class has to be";

    private static bool Member(string pattern, ref int at)
    {
        if (at >= pattern.Length || pattern[at] is '-' or ']') return false;
        if (pattern[at] == '\\') at++;
        if (at >= pattern.Length) return false;
        at++;
        return at < pattern.Length;
    }

    // The expression that the client makes of it. It does not look whether it is inside a class.
    private static (Form, string) Translate(string pattern)
    {
        var form = Form.Exact;
        var text = new StringBuilder("^");
        for (int at = 0, round = 0; at < pattern.Length; round++)
        {
            var character = pattern[at++];
            switch (character)
            {
                case '*' when at < pattern.Length && pattern[at] == '*':
                    at++;
                    if (at < pattern.Length && pattern[at] == '/') at++;
                    if (at == pattern.Length && form == Form.Exact) form = Form.Prefix;
                    else
                    {
                        text.Append(at == pattern.Length ? ".*" : "(.*/)?");
                        form = Form.Expression;
                    }
                    if (round == 0) form = Form.Suffix;
                    break;
                case '*':
                    text.Append("[^/]*");
                    form = Form.Expression;
                    break;
                case '?':
                    text.Append("[^/]");
                    form = Form.Expression;
                    break;
                case '.' or '+' or '(' or ')' or '|' or '{' or '}' or '$':
                    text.Append('\\').Append(character);
                    break;
                case '\\':
                    text.Append('\\');
                    if (at < pattern.Length) text.Append(pattern[at++]);
                    form = Form.Expression;
                    break;
                case '[' or ']':
                    text.Append(character);
                    form = Form.Expression;
                    break;
                default:
                    text.Append(character);
                    break;
            }
        }
        return (form, text.Append('$').ToString());
    }
}
