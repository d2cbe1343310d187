using System.Text;

namespace CiSteps.TeamCity.Branches;

/// <summary>Which of a repository's branches a VCS root watches, and what they are called (branch specification).</summary>
public sealed class BranchSpec
{
    private readonly string defaultRef;
    private readonly List<(bool Include, string Pattern, int From, int To)> rules = [];

    /// <summary>A specification.</summary>
    /// <param name="defaultRef">The default branch as a full name; a short one is taken as a branch's.</param>
    /// <param name="text">Lines of <c>+:</c> and <c>-:</c> rules; <c>#!</c> lines are instructions, <c>#</c> lines
    /// comments.</param>
    public BranchSpec(string defaultRef, string text)
    {
        this.defaultRef = defaultRef.StartsWith("refs/", StringComparison.Ordinal) ? defaultRef : "refs/heads/" + defaultRef;
        FallsBackToDefault = true;
        var escape = '\\';
        foreach (var raw in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (raw.StartsWith('#'))
            {
                var instruction = raw.StartsWith("#!", StringComparison.Ordinal)
                    ? raw[2..].Replace(" ", "", StringComparison.Ordinal)
                    : "";
                if (instruction == "fallbackToDefault:false") FallsBackToDefault = false;
                if (instruction.StartsWith("escape:", StringComparison.Ordinal) && instruction.Length == "escape:".Length + 1)
                    escape = instruction[^1];
                continue;
            }
            var line = raw;
            var include = !line.StartsWith("-:", StringComparison.Ordinal);
            if (line.StartsWith("+:", StringComparison.Ordinal) || !include) line = line[2..];
            rules.Add(Rule(include, line, escape));
        }
    }

    private static (bool, string, int, int) Rule(bool include, string line, char escape)
    {
        var (pattern, from, to) = (new StringBuilder(line.Length), -1, -1);
        for (var at = 0; at < line.Length; at++)
        {
            if (line[at] == escape && at + 1 < line.Length) pattern.Append(line[++at]);
            else if (line[at] == '(' && from < 0) from = pattern.Length;
            else if (line[at] == ')' && from >= 0) to = pattern.Length;
            else pattern.Append(line[at]);
        }
        return from >= 0 && to < 0 ? (include, line, -1, -1) : (include, pattern.ToString(), from, to);
    }

    /// <summary>Whether a chain's member without the branch builds the default one instead.</summary>
    public bool FallsBackToDefault { get; }

    /// <summary>The default branch's full name.</summary>
    public string DefaultRef => defaultRef;

    /// <summary>
    /// The branch's logical name, or null when the specification does not admit it. The default branch is always in.
    /// </summary>
    public string? LogicalName(string fullRef)
    {
        // The rule whose star stands for the least decides, an exact one before all; among equals the last.
        (bool Include, string Name, int Starred)? best = null;
        foreach (var (include, pattern, from, to) in rules)
        {
            if (Match(pattern, fullRef, from, to) is not { } name) continue;
            var starred = pattern.Contains('*', StringComparison.Ordinal) ? fullRef.Length - pattern.Length + 1 : 0;
            if (best is null || starred <= best.Value.Starred) best = (include, name, starred);
        }
        if (best is { Include: true } found) return found.Name;
        return fullRef == defaultRef ? DefaultName : null;
    }

    /// <summary>A full name that has this logical name; null when the specification gives it to none.</summary>
    public string? FullName(string logicalName) =>
        rules.Where(rule => rule.Include)
            .Select(rule => Filled(rule.Pattern, rule.From, rule.To, logicalName))
            .Prepend(logicalName)
            .Prepend("refs/heads/" + logicalName)
            .Prepend(defaultRef)
            .FirstOrDefault(candidate => LogicalName(candidate) == logicalName);

    /// <summary>
    /// Whether some branch's logical name would begin with <c>refs/heads/</c>: an exact rule without brackets, or a star for
    /// everything, keeps the whole name.
    /// </summary>
    public bool KeepsFullNames =>
        rules.Exists(
            rule => rule.Include
                && rule.From < 0
                && (rule.Pattern.StartsWith('*') || !rule.Pattern.Contains('*', StringComparison.Ordinal)));

    // What the star must stand for so that the name comes out.
    private static string Filled(string pattern, int from, int to, string name)
    {
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0) return pattern;
        if (from > star || (from >= 0 && to <= star)) return pattern;
        var (before, after) = from < 0 ? (0, 0) : (star - from, to - star - 1);
        return name.Length > before + after
            ? pattern[..star] + name[before..(name.Length - after)] + pattern[(star + 1)..]
            : pattern;
    }

    /// <summary>The default branch's logical name where no rule names it: the server shows <c>&lt;default&gt;</c>.</summary>
    public const string DefaultName = "<default>";

    /// <summary>
    /// Whether the pattern matches, and what stands for it: the part in brackets, else what the star matched, else all.
    /// </summary>
    private static string? Match(string pattern, string text, int from, int to)
    {
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0)
        {
            if (pattern != text) return null;
            return from >= 0 ? text[from..to] : text;
        }
        var before = pattern[..star];
        var after = pattern[(star + 1)..];
        if (text.Length <= before.Length + after.Length
            || !text.StartsWith(before, StringComparison.Ordinal)
            || !text.EndsWith(after, StringComparison.Ordinal))
            return null;
        var grown = text.Length - pattern.Length;
        if (from < 0) return text[star..(text.Length - after.Length)];
        // A border of the brackets that stands behind the star moves with what the star matched.
        return text[(from > star ? from + grown : from)..(to > star ? to + grown : to)];
    }
}
