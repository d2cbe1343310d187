using System.Text;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Quotes, escapes and variables of a Dockerfile's words, as BuildKit's own lexer reads them.</summary>
internal sealed class ShellWords
{
    private readonly string text;
    private readonly char escape;
    private readonly Func<string, string?>? find;
    private readonly bool keepsQuotes;
    private readonly StringBuilder word = new();
    private readonly List<string> words = [];
    private bool keepsEscapes;
    private bool isInWord;
    private int at;

    private ShellWords(string text, char escape, Func<string, string?>? find, bool keepsQuotes, bool keepsEscapes) =>
        (
            this.text,
            this.escape,
            this.find,
            this.keepsQuotes,
            this.keepsEscapes) = (text, escape, find, keepsQuotes, keepsEscapes);

    /// <summary>A word with its variables replaced and its quotes taken off.</summary>
    /// <param name="text">A word as it stands in the Dockerfile, quotes and variables included.</param>
    /// <param name="escape">The file's escape character.</param>
    /// <param name="find">A variable's value; null when it is not set.</param>
    /// <exception cref="UsageException">It is not well formed, or it demands a variable that is not set.</exception>
    public static string Expand(string text, char escape, Func<string, string?> find) =>
        new ShellWords(text, escape, find, keepsQuotes: false, keepsEscapes: false).Until(null);

    /// <summary>The words of a line, variables left as they stand; null when quotes or braces are not closed.</summary>
    public static IReadOnlyList<string>? Split(string text, bool keepsQuotes, bool keepsEscapes)
    {
        var lexer = new ShellWords(text, '\\', null, keepsQuotes, keepsEscapes);
        try
        {
            lexer.Until(null);
        }
        catch (UsageException)
        {
            return null;
        }
        lexer.EndWord();
        return lexer.words;
    }

    private char? Next => at < text.Length ? text[at] : null;

    private string Until(char? stop)
    {
        var result = new StringBuilder();
        while (Next is { } character)
        {
            if (character == stop)
            {
                at++;
                return result.ToString();
            }
            switch (character)
            {
                case '$':
                    var value = Variable();
                    result.Append(value);
                    // What a variable holds falls apart at its spaces; what is quoted does not.
                    foreach (var part in value) Add(part);
                    break;
                case '\'' or '"':
                    var quoted = character == '"' ? DoubleQuoted() : SingleQuoted();
                    result.Append(quoted);
                    AddWhole(quoted);
                    break;
                case '<':
                    var opening = PossibleHereDocument();
                    result.Append(opening);
                    AddWhole(opening);
                    break;
                default:
                    at++;
                    if (character != escape)
                    {
                        result.Append(character);
                        Add(character);
                        break;
                    }
                    if (keepsEscapes)
                    {
                        result.Append(character);
                        AddWhole(character.ToString());
                    }
                    if (Next is not { } escaped) break;
                    at++;
                    result.Append(escaped);
                    AddWhole(escaped.ToString());
                    break;
            }
        }
        return stop is null ? result.ToString() : throw Wrong($"\"{stop}\" is missing");
    }

    private void Add(char character)
    {
        if (!char.IsWhiteSpace(character)) AddWhole(character.ToString());
        else if (isInWord) EndWord();
    }

    private void AddWhole(string part)
    {
        word.Append(part);
        isInWord = true;
    }

    private void EndWord()
    {
        if (word.Length > 0) words.Add(word.ToString());
        word.Clear();
        isInWord = false;
    }

    private string SingleQuoted()
    {
        var start = at++;
        var end = text.IndexOf('\'', at);
        if (end < 0) throw Wrong("a ' is not closed");
        at = end + 1;
        return keepsQuotes ? text[start..at] : text[(start + 1)..end];
    }

    private string DoubleQuoted()
    {
        var result = new StringBuilder();
        if (keepsQuotes) result.Append('"');
        at++;
        while (Next is { } character)
        {
            if (character == '$')
            {
                result.Append(Variable());
                continue;
            }
            at++;
            if (character == '"') return keepsQuotes ? result.Append('"').ToString() : result.ToString();
            if (character == escape)
            {
                if (keepsEscapes) result.Append(character);
                if (Next is not { } escaped) continue;
                if (escaped == '"' || escaped == '$' || escaped == escape)
                {
                    character = escaped;
                    at++;
                }
                else if (keepsEscapes) continue;
            }
            result.Append(character);
        }
        throw Wrong("a \" is not closed");
    }

    // "<<" with what blanks follow stays one piece with the name behind it.
    private string PossibleHereDocument()
    {
        var start = at++;
        if (Next != '<') return "<";
        at++;
        while (Next is '\t' or '\r' or ' ') at++;
        return text[start..at];
    }

    private string Variable()
    {
        var start = at++;
        if (Next != '{')
        {
            var plain = Name();
            if (plain.Length == 0) return "$";
            return find is null ? "$" + plain : find(plain) ?? "";
        }
        at++;
        if (Next is null) throw Wrong("\"}\" is missing");
        if (Next is '{' or '}' or ':') throw Wrong("bad substitution");
        var name = Name();
        var isEmptyUnset = Next == ':';
        if (isEmptyUnset) at++;
        var form = Next ?? throw Wrong("\"}\" is missing");
        at++;
        if (form == '}' && !isEmptyUnset) return find is null ? text[start..at] : find(name) ?? "";
        return form switch
        {
            '-' or '+' or '?' => Conditional(start, name, form, isEmptyUnset),
            '#' or '%' when !isEmptyUnset => Trimmed(start, name, form),
            '/' when !isEmptyUnset => Replaced(start, name),
            _ => throw Wrong($"\"{(isEmptyUnset ? ":" : "")}{form}\" is not a form of ${{{name}…}}"),
        };
    }

    private string Conditional(int start, string name, char form, bool isEmptyUnset)
    {
        var other = Inner('}', keepsEscapes: false);
        if (find is null) return text[start..at];
        var value = find(name);
        var isThere = value is not null && !(isEmptyUnset && value.Length == 0);
        if (form == '?' && !isThere)
            throw Wrong($"\"{name}\" {(other.Length > 0 ? other : value is null ? "is not set" : "is empty")}");
        return form == '+' ? isThere ? other : "" : isThere ? value! : other;
    }

    private string Trimmed(int start, string name, char form)
    {
        var pattern = Inner('}', keepsEscapes: true);
        if (find is null) return text[start..at];
        var isLongest = pattern.Length > 0 && pattern[0] == form;
        if (isLongest) pattern = pattern[1..];
        var value = find(name) ?? "";
        if (form == '#')
            return Pattern(pattern, isLongest, "^", "").Match(value) is { Success: true } head ? value[head.Length..] : value;
        // The shortest end: the last place at which the pattern matches to the end.
        var ends = Pattern(pattern, isLongest, "^", "$");
        var places = Enumerable.Range(0, value.Length + 1);
        foreach (var place in isLongest ? places : places.Reverse())
            if (ends.IsMatch(value[place..])) return value[..place];
        return value;
    }

    private string Replaced(int start, string name)
    {
        var isAll = Next == '/';
        if (isAll) at++;
        var pattern = Inner('/', keepsEscapes: true);
        var replacement = Inner('}', keepsEscapes: true);
        if (find is null) return text[start..at];
        return Pattern(pattern, isLongest: true, "", "").Replace(find(name) ?? "", _ => replacement, isAll ? -1 : 1);
    }

    private string Inner(char stop, bool keepsEscapes)
    {
        var (before, saved, wasInWord) = (this.keepsEscapes, word.ToString(), isInWord);
        this.keepsEscapes = keepsEscapes;
        var inner = Until(stop);
        // Only the result counts here, not the words on the way.
        word.Clear().Append(saved);
        (this.keepsEscapes, isInWord) = (before, wasInWord);
        return inner;
    }

    private string Name()
    {
        var start = at;
        if (Next is { } first && char.IsAsciiDigit(first))
        {
            while (Next is { } digit && char.IsAsciiDigit(digit)) at++;
            return text[start..at];
        }
        if (Next is '@' or '*' or '#' or '?' or '-' or '$' or '!')
        {
            at++;
            return text[start..at];
        }
        while (Next is { } character && (char.IsLetterOrDigit(character) || character == '_')) at++;
        return text[start..at];
    }

    // A shell pattern without classes: * and ? only.
    private Regex Pattern(string pattern, bool isLongest, string before, string after)
    {
        var expression = new StringBuilder(before);
        for (var place = 0; place < pattern.Length; place++)
        {
            var character = pattern[place];
            if (character == '*') expression.Append(isLongest ? ".*" : ".*?");
            else if (character == '?') expression.Append('.');
            else if (character != '\\') expression.Append(Regex.Escape(character.ToString()));
            else if (place + 1 < pattern.Length && pattern[place + 1] is var escaped and ('*' or '?' or '\\' or '}' or '/'))
            {
                expression.Append(Regex.Escape(escaped.ToString()));
                place++;
            }
            else throw Wrong($"\"{pattern}\" has a wrong escape");
        }
        return new Regex(expression.Append(after).ToString(), RegexOptions.CultureInvariant | RegexOptions.Singleline);
    }

    private UsageException Wrong(string what) => new($"\"{text}\" cannot be read: {what}");
}
