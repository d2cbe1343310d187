using System.Text;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>One line of an ignore file, matched as the engine's own client does: Go's path patterns with <c>**</c>.</summary>
internal sealed class IgnorePattern
{
    private enum Form
    {
        Exact,
        Prefix,
        Suffix,
        Expression,
    }

    private readonly Form form;
    private readonly Regex? expression;

    private IgnorePattern(string text, bool isException, Form form, Regex? expression) => (Text, IsException, this.form, this.expression) = (text, isException, form, expression);

    /// <summary>The cleaned pattern, without the exclamation mark.</summary>
    public string Text { get; }

    /// <summary>Whether it takes back what earlier lines ignored.</summary>
    public bool IsException { get; }

    public static IgnorePattern Parse(string line, string source)
    {
        var isException = line.StartsWith('!');
        var text = isException ? line[1..] : line;
        if (text.Length == 0) throw new UsageException($"{source}: \"!\" alone is no pattern; say what it takes back");
        var (form, expression) = Compile(text, line, source);
        return new IgnorePattern(text, isException, form, expression);
    }

    public bool Matches(string path) => form switch
    {
        Form.Exact => path == Text,
        Form.Prefix => path.StartsWith(Text[..^2], StringComparison.Ordinal),
        Form.Suffix => path.EndsWith(Text[2..], StringComparison.Ordinal) || (Text.Length > 2 && Text[2] == '/' && path == Text[3..]),
        _ => expression!.IsMatch(path),
    };

    // The client's own translation, state for state: its quirks are part of what people rely on.
    private static (Form, Regex?) Compile(string pattern, string line, string source)
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
                    if (at == pattern.Length)
                    {
                        if (form == Form.Exact) form = Form.Prefix;
                        else
                        {
                            text.Append(".*");
                            form = Form.Expression;
                        }
                    }
                    else
                    {
                        text.Append("(.*/)?");
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
                case '\\' when at < pattern.Length:
                    text.Append(Regex.Escape(pattern[at++].ToString()));
                    form = Form.Expression;
                    break;
                case '[':
                    text.Append(Class(pattern, ref at, line, source));
                    form = Form.Expression;
                    break;
                default:
                    text.Append(Regex.Escape(character.ToString()));
                    break;
            }
        }
        return form == Form.Expression
            ? (form, new Regex(text.Append('$').Replace("$", "\\z", text.Length - 1, 1).ToString(), RegexOptions.CultureInvariant | RegexOptions.Singleline))
            : (form, null);
    }

    // [a-z], [^a-z], with backslash escapes; a slash never matches.
    private static string Class(string pattern, ref int at, string line, string source)
    {
        var text = new StringBuilder("[");
        if (at < pattern.Length && pattern[at] == '^')
        {
            text.Append("^/");
            at++;
        }
        var members = 0;
        while (true)
        {
            if (at >= pattern.Length) throw new UsageException($"{source}: \"{line}\" has a \"[\" without its \"]\"");
            var character = pattern[at++];
            if (character == ']' && members > 0) return text.Append(']').ToString();
            if (character == '\\' && at < pattern.Length) character = pattern[at++];
            else if (character == '-' && members > 0 && at < pattern.Length && pattern[at] != ']')
            {
                text.Append('-');
                continue;
            }
            if (character is '\\' or ']' or '[' or '^' or '-') text.Append('\\');
            text.Append(character);
            members++;
        }
    }
}
