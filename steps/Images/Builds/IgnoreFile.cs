using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// What of a build context is left out, as the engine's own client does it: later lines win, <c>!</c> takes back, a matched
/// folder takes all in it along.
/// </summary>
internal sealed class IgnoreFile
{
    private readonly IReadOnlyList<IgnorePattern> patterns;
    private readonly bool hasExceptions;

    private IgnoreFile(IReadOnlyList<IgnorePattern> patterns, IReadOnlyList<string> lines) =>
        (this.patterns, Lines, hasExceptions) = (patterns, lines, patterns.Any(pattern => pattern.IsException));

    /// <summary>Nothing is left out.</summary>
    public static IgnoreFile Empty { get; } = new([], []);

    /// <summary>The cleaned lines.</summary>
    public IReadOnlyList<string> Lines { get; }

    /// <summary>Reads an ignore file's text.</summary>
    /// <exception cref="UsageException">A line is not a pattern.</exception>
    public static IgnoreFile Parse(string text, string source)
    {
        var lines = new List<string>();
        foreach (var raw in text.TrimStart('\uFEFF').Split('\n'))
        {
            if (raw.StartsWith('#')) continue;
            var line = raw.Trim();
            if (line.Length == 0) continue;
            var isException = line[0] == '!';
            if (isException) line = line[1..].Trim();
            if (line.Length > 0)
            {
                line = Clean(line);
                if (line.Length > 1 && line[0] == '/') line = line[1..];
            }
            lines.Add(isException ? "!" + line : line);
        }
        return Of(lines, source);
    }

    /// <summary>The same with further lines at its end.</summary>
    public IgnoreFile With(string source, params IEnumerable<string> further) => Of([.. Lines, .. further], source);

    /// <summary>Whether a path is left out, looked at by itself.</summary>
    public bool Ignores(string path)
    {
        var ignored = false;
        var parents = Parents(path).ToList();
        foreach (var pattern in patterns)
        {
            if (pattern.IsException != ignored) continue;
            if (pattern.Matches(path) || parents.Exists(pattern.Matches)) ignored = !pattern.IsException;
        }
        return ignored;
    }

    /// <summary>
    /// Decides for a path when it is known which lines matched its folder; that is how a walk from the top does it.
    /// </summary>
    /// <param name="path">With slashes, relative to the context.</param>
    /// <param name="folder">Which lines matched the folder that it is in; null at the top.</param>
    public (bool Ignored, bool[] Matched) Judge(string path, bool[]? folder)
    {
        var ignored = false;
        var matched = new bool[patterns.Count];
        for (var at = 0; at < patterns.Count; at++)
        {
            var match = folder is not null && folder[at];
            if (!match)
            {
                if (patterns[at].IsException != ignored) continue;
                match = patterns[at].Matches(path) || (folder is null && Parents(path).Any(patterns[at].Matches));
            }
            matched[at] = match;
            if (match) ignored = !patterns[at].IsException;
        }
        return (ignored, matched);
    }

    /// <summary>Whether something in an ignored folder may have been taken back, so that one has to look into it.</summary>
    public bool MayTakeBackIn(string folder) =>
        hasExceptions
            && patterns.Any(
                pattern => pattern.IsException && (pattern.Text + "/").StartsWith(folder + "/", StringComparison.Ordinal));

    // The client cleans each line a second time, with its exclamation mark as part of the name: "!/" becomes "!".
    private static IgnoreFile Of(IReadOnlyList<string> lines, string source) =>
        new(
            [.. lines.Select(line => line.Trim())
                .Where(line => line.Length > 0)
                .Select(line => IgnorePattern.Parse(Clean(line), source))],
            lines);

    private static IEnumerable<string> Parents(string path)
    {
        for (var slash = path.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = path.IndexOf('/', slash + 1))
            yield return path[..slash];
    }

    // Go's filepath.Clean: "a/./b/", "a//b" and "a/c/../b" are all "a/b".
    private static string Clean(string path)
    {
        var rooted = path.StartsWith('/');
        var parts = new List<string>();
        foreach (var part in path.Split('/'))
        {
            if (part is "" or ".") continue;
            if (part == ".." && parts is [.., not ".."]) parts.RemoveAt(parts.Count - 1);
            else if (part != ".." || !rooted) parts.Add(part);
        }
        var text = string.Join('/', parts);
        return rooted ? "/" + text : text.Length == 0 ? "." : text;
    }
}
