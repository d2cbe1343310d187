using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>What to do when the target branch has moved since the chain tested.</summary>
internal enum WhenMoved
{
    /// <summary>Merge unless components that this change touches changed there too.</summary>
    Overlap,

    /// <summary>Never merge: what lands was tested as a whole.</summary>
    Retest,

    /// <summary>Merge whenever there is no conflict; the release chain tests again.</summary>
    Merge,
}

/// <summary>What to do while the target's newest release chain is red.</summary>
internal enum WhenRed
{
    /// <summary>Merge only what mends it.</summary>
    Refuse,

    /// <summary>Merge.</summary>
    Merge,
}

/// <summary>How the change lands.</summary>
internal enum MergeMethod
{
    /// <summary>By a merge commit.</summary>
    Merge,

    /// <summary>As it is, when the target has not moved.</summary>
    FastForward,

    /// <summary>As one commit on the target's own line.</summary>
    Squash,
}

/// <summary>All that the decision rests on, as it was at one moment.</summary>
/// <param name="Branch">The private branch.</param>
/// <param name="Tested">The commit that the chain tested.</param>
/// <param name="BranchTip">The branch's tip on the origin; null when it is gone.</param>
/// <param name="Target">The target branch.</param>
/// <param name="TargetTip">Its tip on the origin; null when there is none.</param>
/// <param name="IsMerged">Whether the target's history has the tested commit.</param>
/// <param name="HasMoved">Whether the target has commits that the tested commit's history has not.</param>
/// <param name="TestedTree">The tested commit's tree.</param>
/// <param name="Merge">What merging gives; null when there is nothing to merge.</param>
/// <param name="Overlap">Components that both this change and the target's new commits touch.</param>
/// <param name="OtherCommits">The target's new commits, newest first: those that touch conflicting files when there are
/// conflicts.</param>
/// <param name="WhenMoved">What counts when the target has moved since the tests.</param>
/// <param name="Lack">What the target's pipeline file at its tip asks for and the evidence does not show; null when it shows
/// all.</param>
/// <param name="TakenBack">A commit of the change that the target had when merge first read it and no longer has; null when there
/// is none.</param>
/// <param name="Method">How it lands.</param>
/// <param name="Red">The target's commit whose release chain is red and which the change does not say it mends; null when
/// there is
/// none, or it does not matter.</param>
internal sealed record MergeFacts(
    string Branch, string Tested, string? BranchTip, string Target, string? TargetTip, bool IsMerged, bool HasMoved,
    string TestedTree, TreeMerge? Merge, IReadOnlyList<string> Overlap, IReadOnlyList<string> OtherCommits, WhenMoved WhenMoved,
        string? Lack, string? TakenBack = null,
        MergeMethod Method = MergeMethod.Merge, string? Red = null);

/// <summary>What to do.</summary>
internal enum MergeAct
{
    /// <summary>Nothing: it is merged already.</summary>
    Nothing,

    /// <summary>Nothing: the answer is no.</summary>
    Refuse,

    /// <summary>Push a merge commit.</summary>
    Land,
}

/// <summary>What merge does, and why.</summary>
/// <param name="Act">What to do.</param>
/// <param name="Reason">Kebab-case word of a refusal.</param>
/// <param name="Text">One sentence.</param>
/// <param name="Fault">Whose fault a refusal is.</param>
internal sealed record MergePlan(MergeAct Act, string Reason, string Text, Fault Fault = Fault.Nobody)
{
    private const int MostNamed = 10;

    public static MergePlan For(MergeFacts facts)
    {
        var tested = ShortId.Of(facts.Tested);
        if (facts.TargetTip is null)
            return Refuse(
                "no-target",
                $"there is no branch \"{facts.Target}\" on the origin to merge into: push its first commit by hand",
                Fault.Environment);
        if (facts.IsMerged)
            return new(MergeAct.Nothing, "", $"{tested} of \"{facts.Branch}\" is in \"{facts.Target}\" already, nothing to do");
        if (facts.BranchTip is null)
            return Refuse(
                "superseded",
                $"\"{facts.Branch}\" is gone from the origin: nobody wants it merged any more; " +
                "push it again to start a new chain",
                Fault.Nobody);
        if (facts.BranchTip != facts.Tested)
            return Refuse(
                "superseded",
                $"superseded by {ShortId.Of(facts.BranchTip)}: \"{facts.Branch}\" has moved on since this chain tested " +
                $"{tested}; the chain of the newer commit merges", Fault.Nobody);
        if (facts.TakenBack is { } taken)
            return Refuse("rewound", $"\"{facts.Target}\" was rewound to {ShortId.Of(facts.TargetTip)} while merge ran, and " +
                $"{tested} has {ShortId.Of(taken)}, which was taken out of it: landing it would bring that back; " +
                $"start \"{facts.Branch}\" anew from \"{facts.Target}\" without it");
        if (facts.Red is { } red)
            return Refuse("target-red", $"the release chain of \"{facts.Target}\" at {ShortId.Of(red)} is red, and until it is " +
                $"mended nothing else lands there; a change that mends it says so by a line " +
                $"\"{ReleaseMark.Mends}{ShortId.Of(red)}\" in a commit's message, and --when-red merge lets all pass");
        if (facts.Lack is { } lack)
            return Refuse("not-tested", $"the evidence does not show what \"{facts.Target}\" asks for at " +
                $"{ShortId.Of(facts.TargetTip)}: {lack}; run the chain for this commit", Fault.Environment);
        if (facts.Merge is not { } merge)
            throw new ArgumentException("there is something to merge and no result of it", nameof(facts));
        if (merge.Tree is null)
            return Refuse(
                "conflict",
                $"\"{facts.Branch}\" and \"{facts.Target}\" both changed " +
                $"{Listed(merge.Conflicts.Select(path => $"\"{path}\""))}" +
                    (facts.OtherCommits.Count == 0 ? "" : $"; there by {Listed(facts.OtherCommits)}") + $": {Rebase(facts)}");
        if (facts.HasMoved && facts.Method == MergeMethod.FastForward)
            return Refuse("moved", $"\"{facts.Target}\" has moved to {ShortId.Of(facts.TargetTip)} since {tested} was tested, " +
                $"and only a fast-forward may land: {Rebase(facts)}");
        if (!facts.HasMoved || merge.Tree == facts.TestedTree)
            return Land(
                $"merging {tested} of \"{facts.Branch}\" into \"{facts.Target}\" ({ShortId.Of(facts.TargetTip)}): " +
                "the result is the tree that was tested");
        return facts.WhenMoved switch
        {
            WhenMoved.Retest =>
                Refuse("moved",
                    $"\"{facts.Target}\" has moved to {ShortId.Of(facts.TargetTip)} since {tested} was tested, " +
                    $"and only what was tested as a whole may land: {Rebase(facts)}"),
            WhenMoved.Overlap when facts.Overlap.Count > 0 => Refuse("moved",
                $"\"{facts.Target}\" has moved to {ShortId.Of(facts.TargetTip)} since {tested} was tested, " +
                $"and both changed {Listed(facts.Overlap.Select(name => $"\"{name}\""))}" +
                (facts.OtherCommits.Count == 0 ? "" : $"; there by {Listed(facts.OtherCommits)}") + $": {Rebase(facts)}"),
            WhenMoved.Overlap =>
                Land(
                    $"merging {tested} of \"{facts.Branch}\" into \"{facts.Target}\", " +
                    $"which has moved to {ShortId.Of(facts.TargetTip)} since: " +
                        "nothing of the components that this change touches changed there; the release chain tests the result"),
            _ =>
                Land(
                    $"merging {tested} of \"{facts.Branch}\" into \"{facts.Target}\", " +
                    $"which has moved to {ShortId.Of(facts.TargetTip)} since: there is no conflict; " +
                    "the release chain tests the result"),
        };
    }

    private static MergePlan Land(string text) => new(MergeAct.Land, "", text);

    private static MergePlan Refuse(string reason, string text, Fault fault = Fault.Change) =>
        new(MergeAct.Refuse, reason, text, fault);

    private static string Rebase(MergeFacts facts) =>
        $"rebase \"{facts.Branch}\" on \"{facts.Target}\" or merge \"{facts.Target}\" into it, and push";

    private static string Listed(IEnumerable<string> things)
    {
        var all = things.ToList();
        return string.Join(", ", all.Take(MostNamed)) + (all.Count > MostNamed ? $" and {all.Count - MostNamed} more" : "");
    }
}
