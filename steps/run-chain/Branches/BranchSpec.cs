namespace CiSteps.RunChain.Branches;

/// <summary>Which of a repository's branches a VCS root watches, and what they are called (branch specification).</summary>
internal sealed class BranchSpec
{
    private readonly string defaultRef;
    private readonly List<(bool Include, string Pattern, int From, int To)> rules = [];

    /// <summary>A specification.</summary>
    /// <param name="defaultRef">The default branch as a full name; a short one is taken as a branch's.</param>
    /// <param name="text">Lines of <c>+:</c> and <c>-:</c> rules; <c>#!</c> lines are instructions, <c>#</c> lines comments.</param>
    public BranchSpec(string defaultRef, string text)
    {
        this.defaultRef = defaultRef.StartsWith("refs/", StringComparison.Ordinal) ? defaultRef : "refs/heads/" + defaultRef;
        FallsBackToDefault = true;
        foreach (var raw in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (raw.StartsWith('#'))
            {
                if (raw.StartsWith("#!", StringComparison.Ordinal) && raw.Replace(" ", "", StringComparison.Ordinal).EndsWith("fallbackToDefault:false", StringComparison.Ordinal))
                    FallsBackToDefault = false;
                continue;
            }
            var line = raw;
            var include = !line.StartsWith("-:", StringComparison.Ordinal);
            if (line.StartsWith("+:", StringComparison.Ordinal) || !include) line = line[2..];
            var open = line.IndexOf('(', StringComparison.Ordinal);
            var close = line.LastIndexOf(')');
            if (open >= 0 && close > open) rules.Add((include, line.Remove(close, 1).Remove(open, 1), open, close - 1));
            else rules.Add((include, line, -1, -1));
        }
    }

    /// <summary>Whether a chain's member without the branch builds the default one instead.</summary>
    public bool FallsBackToDefault { get; }

    /// <summary>The default branch's full name.</summary>
    public string DefaultRef => defaultRef;

    /// <summary>The branch's logical name, or null when the specification does not admit it. The default branch is always in.</summary>
    public string? LogicalName(string fullRef)
    {
        (bool Include, string Name, bool Exact)? best = null;
        foreach (var (include, pattern, from, to) in rules)
        {
            if (Match(pattern, fullRef, from, to) is not { } name) continue;
            var exact = !pattern.Contains('*', StringComparison.Ordinal);
            if (best is { Exact: true } && !exact) continue;
            // Among patterns the last wins; where two admit it, the shorter name stands.
            if (best is { Include: true } known && include && known.Exact == exact && known.Name.Length < name.Length) name = known.Name;
            best = (include, name, exact);
        }
        if (best is { Include: true } found) return found.Name;
        return fullRef == defaultRef ? DefaultName : null;
    }

    /// <summary>The default branch's logical name where no rule names it: the server shows <c>&lt;default&gt;</c>.</summary>
    public const string DefaultName = "<default>";

    /// <summary>Whether the pattern matches, and what stands for it: the part in brackets, else what the star matched, else all.</summary>
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
        if (text.Length <= before.Length + after.Length || !text.StartsWith(before, StringComparison.Ordinal) || !text.EndsWith(after, StringComparison.Ordinal)) return null;
        var grown = text.Length - pattern.Length;
        if (from < 0) return text[star..(text.Length - after.Length)];
        // A border of the brackets that stands behind the star moves with what the star matched.
        return text[(from > star ? from + grown : from)..(to > star ? to + grown : to)];
    }
}
