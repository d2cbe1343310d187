namespace CiSteps.TeamCity.Branches;

/// <summary>
/// Lines of <c>+:</c> and <c>-:</c> over logical branch names, as triggers, configurations and features have them.
/// </summary>
public sealed class BranchFilter
{
    // What these rules take only the hosting server of the repository knows; to a plain branch they say nothing.
    private const string PullRequest = "pr:";

    private readonly List<(bool Include, string Pattern)> rules = [];

    public BranchFilter(string? text)
    {
        Text = text ?? "";
        foreach (var line in Text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;
            var include = line[0] != '-';
            rules.Add(
                (
                    include,
                    line.StartsWith("+:", StringComparison.Ordinal) || line.StartsWith("-:", StringComparison.Ordinal)
                        ? line[2..].Trim()
                        : IsPullRequestRule(line) ? line[1..] : line));
        }
    }

    /// <summary>The lines as written.</summary>
    public string Text { get; }

    /// <summary>For people: the rules in one line.</summary>
    public string Shown => rules.Count == 0 ? "all branches"
        : string.Join(
            ' ',
            rules.Select(
                rule => (rule.Include ? "+" : "-")
                    + (rule.Pattern.StartsWith(PullRequest, StringComparison.Ordinal) ? "" : ":")
                    + rule.Pattern));

    /// <summary>Whether the line is a rule about pull requests, such as <c>+pr:target=main</c>.</summary>
    public static bool IsPullRequestRule(string line) =>
        line.Length > 0 && line[0] is '+' or '-' && line.AsSpan(1).StartsWith(PullRequest, StringComparison.Ordinal);

    /// <summary>
    /// Whether the filter takes the branch. No rules: every branch. The most specific rule decides, among equals the last.
    /// </summary>
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
        if (pattern.StartsWith(PullRequest, StringComparison.Ordinal)) return -1;
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0) return pattern == name ? int.MaxValue : -1;
        if (pattern == "*") return 0;
        return Matches(pattern, name) ? pattern.Count(unit => unit != '*') : -1;
    }

    // A star stands for one character at least.
    private static bool Matches(string pattern, string name)
    {
        var parts = pattern.Split('*');
        if (!name.StartsWith(parts[0], StringComparison.Ordinal)) return false;
        var at = parts[0].Length;
        for (var part = 1; part < parts.Length - 1; part++)
        {
            var found = at < name.Length ? name.IndexOf(parts[part], at + 1, StringComparison.Ordinal) : -1;
            if (found < 0) return false;
            at = found + parts[part].Length;
        }
        return name.Length - at > parts[^1].Length && name.EndsWith(parts[^1], StringComparison.Ordinal);
    }
}
