using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Which images a Dockerfile builds on: what its <c>FROM</c> and <c>COPY --from</c> name and no stage of its own is.</summary>
public static class DockerfileSources
{
    /// <summary>References of all outside images up to the target stage, in order, each once. <c>scratch</c> is none.</summary>
    /// <param name="text">The Dockerfile.</param>
    /// <param name="arguments">Build arguments.</param>
    /// <param name="target">Stage to build; null: the last.</param>
    /// <exception cref="UsageException">The target is no stage, or the file has no FROM.</exception>
    public static IReadOnlyList<string> Read(string text, IReadOnlyDictionary<string, string> arguments, string? target = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(arguments);
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        var stages = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var found = new List<string>();
        var count = 0;
        var isTargetDone = false;
        foreach (var instruction in Instructions(text))
        {
            var (word, rest) = Split(instruction);
            switch (word.ToUpperInvariant())
            {
                // Only arguments before the first FROM may stand in a FROM.
                case "ARG" when count == 0:
                    foreach (var argument in rest.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                    {
                        var equals = argument.IndexOf('=', StringComparison.Ordinal);
                        var name = equals < 0 ? argument : argument[..equals];
                        if (arguments.TryGetValue(name, out var given)) values[name] = given;
                        else if (equals >= 0) values[name] = Expand(argument[(equals + 1)..].Trim('"', '\''), values);
                    }
                    break;
                case "FROM":
                    if (isTargetDone) return found;
                    var parts = rest.Split(' ', StringSplitOptions.RemoveEmptyEntries).SkipWhile(part => part.StartsWith("--", StringComparison.Ordinal)).ToList();
                    if (parts.Count == 0) throw new UsageException($"the Dockerfile has a FROM without an image: \"{instruction}\"");
                    Add(Expand(parts[0].Trim('"', '\''), values));
                    var name2 = parts is [_, var word2, var stage] && word2.Equals("AS", StringComparison.OrdinalIgnoreCase) ? stage : null;
                    if (name2 is not null) stages.Add(name2);
                    if (target is not null) isTargetDone = string.Equals(target, name2, StringComparison.OrdinalIgnoreCase) || target == count.ToString(System.Globalization.CultureInfo.InvariantCulture);
                    count++;
                    break;
                case "COPY":
                    foreach (var option in rest.Split(' ', StringSplitOptions.RemoveEmptyEntries).TakeWhile(part => part.StartsWith("--", StringComparison.Ordinal)))
                        if (option.StartsWith("--from=", StringComparison.OrdinalIgnoreCase) && option[7..] is { Length: > 0 } from && !int.TryParse(from, out _)) Add(from);
                    break;
            }
        }
        if (count == 0) throw new UsageException("the Dockerfile has no FROM");
        return target is null || isTargetDone ? found : throw new UsageException($"the Dockerfile has no stage \"{target}\"" + (stages.Count > 0 ? $"; it has {string.Join(", ", stages)}" : ""));

        void Add(string image)
        {
            if (image.Length > 0 && image != "scratch" && !stages.Contains(image) && !found.Contains(image)) found.Add(image);
        }
    }

    // Instructions as single lines: continuations joined, comments and here-documents out.
    private static IEnumerable<string> Instructions(string text)
    {
        var escape = '\\';
        var whole = new StringBuilder();
        string? until = null;
        var isHead = true;
        foreach (var raw in text.ReplaceLineEndings("\n").Split('\n'))
        {
            var line = raw.Trim();
            if (until is not null)
            {
                if (line == until) until = null;
                continue;
            }
            if (line.StartsWith('#'))
            {
                if (isHead && line.TrimStart('#').Trim().Replace(" ", "", StringComparison.Ordinal).StartsWith("escape=`", StringComparison.OrdinalIgnoreCase)) escape = '`';
                continue;
            }
            if (line.Length == 0) continue;
            isHead = false;
            if (line[^1] == escape)
            {
                whole.Append(line, 0, line.Length - 1).Append(' ');
                continue;
            }
            var instruction = whole.Append(line).ToString().Trim();
            whole.Clear();
            until = HereDocument(instruction);
            yield return instruction;
        }
        if (whole.Length > 0) yield return whole.ToString().Trim();
    }

    private static string? HereDocument(string instruction)
    {
        var at = instruction.IndexOf("<<", StringComparison.Ordinal);
        if (at < 0 || !(instruction.StartsWith("RUN", StringComparison.OrdinalIgnoreCase) || instruction.StartsWith("COPY", StringComparison.OrdinalIgnoreCase))) return null;
        var word = instruction[(at + 2)..].TrimStart('-').TrimStart('"', '\'');
        var length = word.TakeWhile(character => char.IsAsciiLetterOrDigit(character) || character == '_').Count();
        return length > 0 && !char.IsAsciiDigit(word[0]) ? word[..length] : null;
    }

    private static (string Word, string After) Split(string instruction)
    {
        var space = instruction.AsSpan().IndexOfAny(' ', '\t');
        return space < 0 ? (instruction, "") : (instruction[..space], instruction[(space + 1)..].Replace('\t', ' ').Trim());
    }

    // $NAME, ${NAME}, ${NAME:-default}, ${NAME:+other}
    private static string Expand(string text, Dictionary<string, string> values)
    {
        var result = new StringBuilder();
        for (var at = 0; at < text.Length;)
        {
            if (text[at] != '$')
            {
                result.Append(text[at++]);
                continue;
            }
            at++;
            if (at < text.Length && text[at] == '{')
            {
                var end = text.IndexOf('}', at);
                if (end < 0) return result.Append('$').Append(text, at, text.Length - at).ToString();
                var inner = text[(at + 1)..end];
                at = end + 1;
                var colon = inner.IndexOf(':', StringComparison.Ordinal);
                var value = values.GetValueOrDefault(colon < 0 ? inner : inner[..colon], "");
                if (colon >= 0 && colon + 1 < inner.Length)
                    value = (inner[colon + 1], value.Length > 0) switch
                    {
                        ('-', false) => inner[(colon + 2)..],
                        ('+', true) => inner[(colon + 2)..],
                        ('+', false) => "",
                        _ => value,
                    };
                result.Append(value);
                continue;
            }
            var start = at;
            while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_')) at++;
            result.Append(values.GetValueOrDefault(text[start..at], ""));
        }
        return result.ToString();
    }
}
