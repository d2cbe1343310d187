using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;
using CiSteps.Repositories;

namespace CiSteps.Merge;

internal static class MergeCommand
{
    public static StepOption<WhenMoved> Moved { get; } = new("when-moved",
        "when the target branch has moved since the chain tested: \"overlap\" merges unless the same components changed there, " +
        "\"retest\" never merges, \"merge\" merges whenever there is no conflict",
        text => text switch
        {
            "overlap" => WhenMoved.Overlap,
            "retest" => WhenMoved.Retest,
            "merge" => WhenMoved.Merge,
            _ => throw new FormatException("give overlap, retest or merge"),
        }, "overlap");

    public static StepOption<string> CommitterName { get; } = StepOption.Text(
        "committer-name", "name on the merge commit", "CiSteps");

    public static StepOption<string> CommitterEmail { get; } = StepOption.Text(
        "committer-email", "e-mail address on the merge commit", "cisteps@localhost");

    public static StepOption<bool> RequireSigned { get; } = StepOption.Switch(ChainEvidence.RequireSignedName,
        "refuse evidence without a valid signature (key in CISTEPS_VERIFICATION_KEY or CISTEPS_SIGNING_KEY)");

    public static StepOption<bool> DeleteBranch { get; } = StepOption.Switch("delete-branch",
        "remove the private branch once it is merged");

    public static StepOption<MergeMethod> Method { get; } = new("method",
        "how the change lands: \"merge\" by a merge commit, \"ff-only\" as it is and only while the target has not moved, " +
        "\"squash\" as one commit of its own",
        text => text switch
        {
            "merge" => MergeMethod.Merge,
            "ff-only" => MergeMethod.FastForward,
            "squash" => MergeMethod.Squash,
            _ => throw new FormatException("give merge, ff-only or squash"),
        }, "merge");

    public static StepOption<string> Message { get; } = new("message",
        "message of the commit that lands, with " + string.Join(" ", MergeMessage.Names.Select(name => $"{{{name}}}")) +
        " in it and \\n for the end of a line", MergeMessage.Check);

    public static StepOption<string> AuthorIs { get; } = new("author",
        "author of the commit that lands: \"committer\", or \"change\" for the tested commit's author; by default change " +
        "for squash, else committer",
        text => text is "committer" or "change" ? text : throw new FormatException("give committer or change"));

    public static StepOption<string> Sign { get; } = new("sign",
        "what the commit that lands is signed with: \"ssh\" or \"gpg\"; without it, it is not signed",
        text => text is "ssh" or "gpg" ? text : throw new FormatException("give ssh or gpg"));

    public static StepOption<string> SigningKey { get; } = StepOption.Text("signing-key",
        "key for --sign: file of an ssh key, or id of a gpg key");

    public static StepOption<WhenRed> Red { get; } = new("when-red",
        "while the target's newest release chain is red (recorded by close --record-release): \"refuse\" " +
        "merges nothing but a change that says which one it mends, by a line Mends-release: COMMIT in a " +
        "commit's message; \"merge\" merges all the same",
        text => text switch
        {
            "refuse" => WhenRed.Refuse,
            "merge" => WhenRed.Merge,
            _ => throw new FormatException("give refuse or merge"),
        }, "refuse");

    public static StepOption<TimeSpan> SilenceLimit { get; } = StepOption.Duration("silence-limit",
        "how long the origin may say nothing while it is read from or pushed to", "2m");

    public static StepOption<TimeSpan> RaceLimit { get; } = StepOption.Duration("race-limit",
        "how long merge goes on trying while others land on the target branch first", "10m");

    /// <param name="open">The way to the origin; tests pass one that answers as they need.</param>
    public static StepCommand Create(Func<ChainRun, StepContext, IOrigin>? open = null) => new(
        "merge",
        "Merges the private branch into the target branch when the chain's evidence says that it passed; " +
        "without a work tree and without force.",
        [.. ChainRun.Options, Moved, CommitterName, CommitterEmail, RequireSigned, DeleteBranch, Method, Message,
            AuthorIs, Sign, SigningKey, Red, SilenceLimit, RaceLimit],
        async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel, mustKnow: true);
            var origin = open is null
                ? new Origin(new OriginRemote(run.Repository, ChainRun.Access(context), context.Time, context.Log,
                    context.Options.Get(SilenceLimit))) : open(run, context);
            return await new MergeStep(context, run, origin).RunAsync(cancel);
        });

    private sealed class Origin(OriginRemote remote) : IOrigin
    {
        public Task<IReadOnlyList<string?>> FetchAsync(IReadOnlyList<string> branches, CancellationToken cancel) =>
            remote.FetchAsync(branches, cancel);

        public Task<string?> RedAsync(string branch, CancellationToken cancel) => ReleaseMark.ReadAsync(remote, branch, cancel);

        public Task<PushResult> PushAsync(string commit, string branch, string expectedTip, CancellationToken cancel) =>
            remote.PushAsync(commit, branch, expectedTip, cancel);

        public Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel) =>
            remote.DeleteAsync(branch, expectedTip, cancel);
    }
}
