namespace CiSteps.RunChain.Branches;

/// <summary>Lines of <c>+:</c> and <c>-:</c> over logical branch names, as triggers, configurations and features have them.</summary>
internal sealed class BranchFilter
{
    private readonly List<(bool Include, string Pattern)> rules = [];

    public BranchFilter(string? text)
    {
        Text = text ?? "";
        foreach (var line in Text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            var include = !line.StartsWith("-:", StringComparison.Ordinal);
            rules.Add((include, line.StartsWith("+:", StringComparison.Ordinal) || !include ? line[2..].Trim() : line));
        }
    }

    /// <summary>The lines as written.</summary>
    public string Text { get; }

    /// <summary>For people: the rules in one line.</summary>
    public string Shown => rules.Count == 0 ? "all branches" : string.Join(' ', rules.Select(rule => (rule.Include ? "+:" : "-:") + rule.Pattern));

    /// <summary>Whether the filter takes the branch. No rules: every branch. The most specific rule decides, among equals the last.</summary>
    public bool Takes(string logicalName, bool isDefault)
    {
        if (rules.Count == 0) return true;
        var best = (Score: -1, Include: false);
        foreach (var (include, pattern) in rules)
        {
            var score = Specificity(pattern, logicalName, isDefault);
            if (score >= 0 && score >= best.Score) best = (score, include);
        }
        return best.Include;
    }

    // An exact name, and <default>, are more specific than any pattern; of patterns the one with more fixed characters.
    private static int Specificity(string pattern, string name, bool isDefault)
    {
        if (pattern == "<default>") return isDefault ? int.MaxValue : -1;
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0) return pattern == name ? int.MaxValue : -1;
        if (pattern == "*") return 0;
        return Matches(pattern, name) ? pattern.Count(unit => unit != '*') : -1;
    }

    private static bool Matches(string pattern, string name)
    {
        var parts = pattern.Split('*');
        if (!name.StartsWith(parts[0], StringComparison.Ordinal)) return false;
        var at = parts[0].Length;
        for (var part = 1; part < parts.Length - 1; part++)
        {
            var found = name.IndexOf(parts[part], at, StringComparison.Ordinal);
            if (found < 0) return false;
            at = found + parts[part].Length;
        }
        return name.Length - at >= parts[^1].Length && name.EndsWith(parts[^1], StringComparison.Ordinal);
    }
}
