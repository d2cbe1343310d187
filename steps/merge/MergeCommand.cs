using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Merge;

internal static class MergeCommand
{
    public static StepOption<WhenMoved> Moved { get; } = new("when-moved",
        "when the target branch has moved since the chain tested: \"overlap\" merges unless the same components changed there, \"retest\" never merges, \"merge\" merges whenever there is no conflict",
        text => text switch
        {
            "overlap" => WhenMoved.Overlap,
            "retest" => WhenMoved.Retest,
            "merge" => WhenMoved.Merge,
            _ => throw new FormatException("give overlap, retest or merge"),
        }, "overlap");

    public static StepOption<string> CommitterName { get; } = StepOption.Text("committer-name", "name on the merge commit", "CiSteps");

    public static StepOption<string> CommitterEmail { get; } = StepOption.Text("committer-email", "e-mail address on the merge commit", "cisteps@localhost");

    public static StepOption<bool> RequireSigned { get; } = StepOption.Switch(ChainEvidence.RequireSignedName,
        "refuse evidence without a valid signature (key in CISTEPS_VERIFICATION_KEY or CISTEPS_SIGNING_KEY)");

    public static StepOption<bool> DeleteBranch { get; } = StepOption.Switch("delete-branch", "remove the private branch once it is merged");

    /// <param name="open">The way to the origin; tests pass one that answers as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IOrigin>? open = null) => new(
        "merge",
        "Merges the private branch into the target branch when the chain's evidence says that it passed; without a work tree and without force.",
        [.. ChainRun.Options, Moved, CommitterName, CommitterEmail, RequireSigned, DeleteBranch],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel, mustKnow: true);
            var origin = open is null ? new Origin(new OriginRemote(run.Repository, ChainRun.Access(context), context.Time, context.Log)) : open(run, context);
            return await new MergeStep(context, run, origin).RunAsync(cancel);
        });

    private sealed class Origin(OriginRemote remote) : IOrigin
    {
        public Task<IReadOnlyList<string?>> FetchAsync(IReadOnlyList<string> branches, CancellationToken cancel) => remote.FetchAsync(branches, cancel);

        public Task<PushResult> PushAsync(string commit, string branch, CancellationToken cancel) => remote.PushAsync(commit, branch, cancel);

        public Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel) => remote.DeleteAsync(branch, expectedTip, cancel);
    }
}
