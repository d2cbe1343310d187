using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Merge;

internal static class MergeCommand
{
    public static Setting<WhenMoved> Moved { get; } = new("when-moved",
        "when the target branch has moved since the chain tested: \"overlap\" merges unless the same components changed there, \"retest\" never merges, \"merge\" merges whenever there is no conflict",
        text => text switch
        {
            "overlap" => WhenMoved.Overlap,
            "retest" => WhenMoved.Retest,
            "merge" => WhenMoved.Merge,
            _ => throw new FormatException("give overlap, retest or merge"),
        }, "overlap");

    public static Setting<string> CommitterName { get; } = Setting.Text("committer-name", "name on the merge commit", "CiSteps");

    public static Setting<string> CommitterEmail { get; } = Setting.Text("committer-email", "e-mail address on the merge commit", "cisteps@localhost");

    public static Setting<bool> RequireSigned { get; } = Setting.Switch(ChainEvidence.RequireSignedName,
        "refuse evidence without a valid signature (key in CISTEPS_VERIFICATION_KEY or CISTEPS_SIGNING_KEY)");

    public static Setting<bool> DeleteBranch { get; } = Setting.Switch("delete-branch", "remove the private branch once it is merged");

    public static Setting<TimeSpan> SilenceLimit { get; } = Setting.Duration("silence-limit",
        "how long the origin may say nothing while it is read from or pushed to", "2m");

    public static Setting<TimeSpan> RaceLimit { get; } = Setting.Duration("race-limit",
        "how long merge goes on trying while others land on the target branch first", "10m");

    /// <param name="open">The way to the origin; tests pass one that answers as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IOrigin>? open = null) => new(
        "merge",
        "Merges the private branch into the target branch when the chain's evidence says that it passed; without a work tree and without force.",
        [.. ChainRun.Settings, Moved, CommitterName, CommitterEmail, RequireSigned, DeleteBranch, SilenceLimit,
            RaceLimit],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel, mustKnow: true).ConfigureAwait(false);
            var origin = open is null ? new Origin(new OriginRemote(run.Repository, ChainRun.Access(context), context.Time, context.Log,
                context.Settings.Get(SilenceLimit))) : open(run, context);
            return await new MergeStep(context, run, origin).RunAsync(cancel).ConfigureAwait(false);
        });

    private sealed class Origin(OriginRemote remote) : IOrigin
    {
        public Task<IReadOnlyList<string?>> FetchAsync(IReadOnlyList<string> branches, CancellationToken cancel) => remote.FetchAsync(branches, cancel);

        public Task<PushResult> PushAsync(string commit, string branch, string expectedTip, CancellationToken cancel) =>
            remote.PushAsync(commit, branch, expectedTip, cancel);

        public Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel) => remote.DeleteAsync(branch, expectedTip, cancel);
    }
}
