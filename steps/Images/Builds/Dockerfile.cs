using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>One instruction of a Dockerfile.</summary>
/// <param name="Line">Where it begins, from 1.</param>
/// <param name="Word">Its name in capitals.</param>
/// <param name="Flags">What follows with two dashes, such as <c>--from=build</c>; quotes taken off.</param>
/// <param name="Rest">What comes after the flags, continuation lines joined.</param>
/// <param name="HereDocuments">Names of the here-documents that belong to it.</param>
internal sealed record DockerfileInstruction(
    int Line,
    string Word,
    IReadOnlyList<string> Flags,
    string Rest,
    IReadOnlyList<string> HereDocuments)
{
    /// <summary>The instruction that an ONBUILD puts off; null for any other.</summary>
    public DockerfileInstruction? Trigger { get; init; }

    /// <summary>The values of a flag; empty when it is not there.</summary>
    /// <param name="name">Without its dashes.</param>
    public IEnumerable<string> Values(string name) =>
        Flags.Where(flag => NameOf(flag).Equals(name, StringComparison.OrdinalIgnoreCase))
            .Select(flag => flag.IndexOf('=', StringComparison.Ordinal) is var equals and >= 0 ? flag[(equals + 1)..] : "");

    /// <summary>What <c>ADD</c> and <c>COPY</c> take, without where to; in JSON's form or in words.</summary>
    public IReadOnlyList<string> Sources()
    {
        if (Rest.TrimStart().StartsWith('['))
        {
            try
            {
                using var document = OutsideJson.ReadDocument(Encoding.UTF8.GetBytes(Rest), Word, JsonLimits.Standard);
                if (document.RootElement.ValueKind == JsonValueKind.Array)
                    return [.. document.RootElement.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.String)
                        .Select(one => one.GetString()!).SkipLast(1)];
            }
            catch (OutsideJsonException)
            {
                // Builders take it for words then.
            }
        }
        return [.. Rest.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).SkipLast(1)];
    }

    /// <summary>A flag's name without its dashes.</summary>
    public static string NameOf(string flag) =>
        flag[2..(flag.IndexOf('=', StringComparison.Ordinal) is var equals and >= 0 ? equals : flag.Length)];
}

/// <summary>
/// A Dockerfile's instructions, as BuildKit's own parser finds them: directives, continuations, comments in between,
/// here-documents.
/// </summary>
internal sealed partial class Dockerfile
{
    private Dockerfile(
        char escape,
        (int Line, string Value)? syntax,
        (int Line, string Value)? check,
        IReadOnlyList<DockerfileInstruction> instructions) =>
        (Escape, Syntax, Check, Instructions) = (escape, syntax, check, instructions);

    /// <summary>
    /// The character that escapes the next one and continues a line: a backslash, or what <c># escape=</c> says.
    /// </summary>
    public char Escape { get; }

    /// <summary>The image that <c># syntax=</c> names, and its line; null when there is none.</summary>
    public (int Line, string Value)? Syntax { get; }

    /// <summary>What <c># check=</c> says, and its line; null when there is none.</summary>
    public (int Line, string Value)? Check { get; }

    /// <summary>Its instructions in order.</summary>
    public IReadOnlyList<DockerfileInstruction> Instructions { get; }

    /// <summary>Reads a Dockerfile.</summary>
    /// <param name="text">All of the Dockerfile.</param>
    /// <param name="name">Its path, for messages.</param>
    /// <exception cref="UsageException">A here-document is not closed, or it is not a Dockerfile but JSON for another front
    /// end.</exception>
    public static Dockerfile Parse(string text, string name) => new Reader(text, name).Read();

    [GeneratedRegex(@"^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")]
    private static partial Regex Directive();

    // Whole words only: a shift in $((1<<2)) and the shell's <<< are none.
    [GeneratedRegex(@"^\d*<<(-?)\s*([^<]+)$")]
    private static partial Regex HereDocument();

    [GeneratedRegex(@"^[A-Za-z_][\w.\-]*$")]
    private static partial Regex EndName();

    private sealed class Reader(string text, string name)
    {
        private readonly string[] lines = text.TrimStart('\uFEFF').Split('\n');
        private readonly List<DockerfileInstruction> instructions = [];
        private readonly Dictionary<string, (int Line, string Value)> directives = new(StringComparer.OrdinalIgnoreCase);
        private char escape = '\\';
        private bool isHead = true;
        private int next;

        public Dockerfile Read()
        {
            ReadSyntax();
            while (next < lines.Length)
            {
                var line = lines[next++].TrimEnd('\r').TrimStart();
                ReadDirective(line);
                if (line.StartsWith('#')) continue;
                var first = next;
                var whole = new StringBuilder();
                var continues = Continues(line, whole);
                if (!continues && whole.Length == 0) continue;
                if (continues) Join(whole);
                Add(whole.ToString(), first);
            }
            (int, string)? Of(string key) => directives.TryGetValue(key, out var found) ? found : null;
            return new Dockerfile(escape, Of("syntax"), Of("check"), instructions);
        }

        // The front end is looked for by a rule of its own: after a "#!" line, and behind "//" as well.
        private void ReadSyntax()
        {
            var start = lines[0].StartsWith("#!", StringComparison.Ordinal) ? 1 : 0;
            foreach (var mark in new[] { "#", "//" })
            {
                for (var line = start; line < lines.Length && lines[line].StartsWith(mark, StringComparison.Ordinal); line++)
                {
                    if (Directive().Match(lines[line].TrimEnd('\r')[mark.Length..].TrimStart()) is not { Success: true } match)
                        break;
                    if (match.Groups[1].Value.Equals("syntax", StringComparison.OrdinalIgnoreCase))
                        directives.TryAdd("syntax", (line + 1, match.Groups[2].Value.Split(' ')[0]));
                }
            }
            if (Json(string.Join('\n', lines[start..])) is { } named)
                throw new UsageException(
                    $"{name}:{start + 1}: this is JSON for the front end \"{named}\", and what that builds on cannot be read "
                        + "from it: write a Dockerfile with \"# syntax=\" in its first line and with FROM");
        }

        // BuildKit takes a file that is an object of texts as a whole, { "syntax": "…" }, for its front end's own language.
        private static string? Json(string text)
        {
            if (!text.TrimStart().StartsWith('{')) return null;
            try
            {
                using var json = OutsideJson.ReadDocument(text, "");
                return json.RootElement.EnumerateObject().All(one => one.Value.ValueKind == JsonValueKind.String)
                    && json.RootElement.TryGetProperty("syntax", out var named) ? named.GetString() : null;
            }
            catch (OutsideJsonException)
            {
                return null;
            }
        }

        // Directives stand at the top only; the first line that is none ends them.
        private void ReadDirective(string line)
        {
            if (!isHead) return;
            if (!line.StartsWith('#') || Directive().Match(line[1..].TrimStart()) is not { Success: true } match
                || match.Groups[1].Value.ToLowerInvariant() is not ("syntax" or "check" or "escape"))
            {
                isHead = false;
                return;
            }
            directives.TryAdd(match.Groups[1].Value, (next, match.Groups[2].Value));
            if (match.Groups[1].Value.Equals("escape", StringComparison.OrdinalIgnoreCase))
                escape = match.Groups[2].Value == "`" ? '`' : '\\';
        }

        private void Join(StringBuilder whole)
        {
            var continues = true;
            while (continues && next < lines.Length)
            {
                var line = lines[next++].TrimEnd('\r');
                if (string.IsNullOrWhiteSpace(line) || line.TrimStart().StartsWith('#')) continue;
                continues = Continues(line, whole);
            }
        }

        // One escape character at the end, blanks behind it or not; two of them are none.
        private bool Continues(string line, StringBuilder into)
        {
            var end = line.TrimEnd(' ', '\t');
            var continues = end.Length > 0 && end[^1] == escape && (end.Length == 1 || end[^2] != escape);
            into.Append(continues ? end[..^1] : line);
            return continues;
        }

        private void Add(string line, int first)
        {
            var instruction = Instruction(line, first);
            var holder = instruction.Trigger ?? instruction;
            if (holder.Word is "RUN" or "COPY" or "ADD" && line.Contains("<<", StringComparison.Ordinal) && !IsJson(holder.Rest))
                instruction = instruction with { HereDocuments = [.. Documents(line, first)] };
            instructions.Add(instruction);
        }

        private IEnumerable<string> Documents(string line, int first)
        {
            foreach (var word in ShellWords.Split(line, keepsQuotes: true, keepsEscapes: true) ?? [])
            {
                if (HereDocument().Match(word) is not { Success: true } match) continue;
                if (ShellWords.Split(match.Groups[2].Value, keepsQuotes: false, keepsEscapes: false) is not [var end]) continue;
                var place = Array.FindIndex(
                    lines,
                    next,
                    inner => (match.Groups[1].Length > 0 ? inner.TrimEnd('\r').TrimStart('\t') : inner.TrimEnd('\r')) == end);
                // A shift with blanks, $((1 << 2)), looks like one too; nobody ends a text with "2))".
                if (place < 0 && !EndName().IsMatch(end)) continue;
                if (place < 0)
                    throw new UsageException($"{name}:{first}: the here-document \"{end}\" is not closed by a line \"{end}\"");
                next = place + 1;
                yield return end;
            }
        }

        private DockerfileInstruction Instruction(string line, int first)
        {
            var (word, rest) = Cut(line.Trim());
            var flags = new List<string>();
            rest = TakeFlags(rest, flags);
            var instruction = new DockerfileInstruction(first, word.ToUpperInvariant(), flags, rest, []);
            return instruction.Word == "ONBUILD" && rest.Length > 0
                ? instruction with { Trigger = Instruction(rest, first) }
                : instruction;
        }

        private static (string Word, string After) Cut(string line)
        {
            var blank = line.AsSpan().IndexOfAny("\t\v\f\r ");
            return blank < 0 ? (line, "") : (line[..blank], line[blank..].Trim());
        }

        // Flags may be quoted and escaped; "--" ends them.
        private string TakeFlags(string rest, List<string> flags)
        {
            var at = 0;
            while (true)
            {
                while (at < rest.Length && char.IsWhiteSpace(rest[at])) at++;
                if (at + 1 >= rest.Length || rest[at] != '-' || rest[at + 1] != '-') return rest[at..].Trim();
                var flag = new StringBuilder();
                var quote = '\0';
                for (; at < rest.Length && (quote != '\0' || !char.IsWhiteSpace(rest[at])); at++)
                {
                    var character = rest[at];
                    if (quote != '\0' && character == quote) quote = '\0';
                    else if (quote == '\0' && character is '"' or '\'') quote = character;
                    else if (character != escape) flag.Append(character);
                    else if (at + 1 < rest.Length) flag.Append(rest[++at]);
                }
                if (flag.ToString() == "--") return rest[at..].Trim();
                flags.Add(flag.ToString());
            }
        }

        private static bool IsJson(string rest)
        {
            if (!rest.StartsWith('[')) return false;
            try
            {
                using var json = OutsideJson.ReadDocument(rest, "");
                return json.RootElement.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String);
            }
            catch (OutsideJsonException)
            {
                return false;
            }
        }
    }
}
