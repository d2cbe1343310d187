namespace CiSteps.Hosting;

/// <summary>
/// Which run of which chain a step belongs to. (repository, commit, build number, step) identifies a step in evidence and in the
/// world, so a re-run is recognised.
/// </summary>
/// <param name="Repository">The origin's address without credentials; the folder's path where there is no remote.</param>
/// <param name="Branch">Logical branch name, such as <c>ci/greeting</c> or <c>main</c>.</param>
/// <param name="IsTargetBranch">Whether the branch is the target branch that releases come from.</param>
/// <param name="Commit">Full hexadecimal commit id.</param>
/// <param name="BuildNumber">The chain's one build number; <c>0-dev.&lt;timestamp&gt;</c> on a laptop.</param>
/// <param name="Dirty">Whether the work tree has uncommitted changes; merge, certify and promote refuse such evidence.</param>
public sealed record RunIdentity(
    string Repository, string Branch, bool IsTargetBranch, string Commit, string BuildNumber, bool Dirty)
{
    /// <summary>The target branch's commit whose pipeline file judges the run; null when the change's own file does.</summary>
    public string? PolicyCommit { get; init; }

    /// <summary>Whether it is not known what the change has to be compared with, so that everything counts as changed;
    /// merge, certify and promote refuse such evidence.</summary>
    public bool BaseUnknown { get; init; }

    /// <summary>First 12 digits of the commit, for tags and messages.</summary>
    public string ShortCommit => ShortId.Of(Commit);

    /// <summary>Stable id of the chain run, the same in each of its steps: build number and short commit.</summary>
    public string Chain => $"{BuildNumber}-{ShortCommit}";
}
