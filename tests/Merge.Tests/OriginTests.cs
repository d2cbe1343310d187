using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories;
using Microsoft.Extensions.Time.Testing;
using Moq;

namespace CiSteps.Merge.Tests;

/// <summary>Answers of an origin that a real one gives only now and then.</summary>
public sealed class An_origin
{
    private Chain chain = null!;
    private GitClone clone = null!;
    private Mock<IOrigin> origin = null!;

    [SetUp]
    public async Task With_a_tested_branch()
    {
        chain = new Chain();
        clone = chain.Branch("ci/x", "app/a", "changed\n");
        await Chain.Passed(clone);
        origin = new Mock<IOrigin>(MockBehavior.Strict);
        Having(() => chain.Start);
        origin.Setup(one => one.RedAsync("main", It.IsAny<CancellationToken>())).ReturnsAsync((string?)null);
    }

    [TearDown]
    public void Removed() => chain.Dispose();

    private void Having(Func<string?> main) =>
        origin.Setup(one => one.FetchAsync(It.IsAny<IReadOnlyList<string>>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync(
                (IReadOnlyList<string> branches, CancellationToken _) => [.. branches.Select(
                    branch => branch == "main" ? main() : clone.Head)]);

    private void Pushing(PushEnd end, string text = "said so") =>
        origin
            .Setup(one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()))
            .ReturnsAsync(new PushResult(end, text));

    [Test]
    public async Task That_moves_again_and_again_is_given_up_when_the_time_for_it_is_over_and_each_attempt_is_told()
    {
        Pushing(PushEnd.Moved);
        var time = new FakeTimeProvider { AutoAdvanceAmount = TimeSpan.FromMilliseconds(500) };
        var merging = Chain.MergeAt(time, clone, origin.Object, "--race-limit", "2h");
        while (!merging.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(5));
            await Task.Yield();
        }
        var ended = await merging;
        ended.Was(ExitCode.Refused, "merge.moved", "\"main\" moved while merging: said so", "attempt 1 did not land; " +
            "attempt 2 follows in",
            "attempt 3:", "--race-limit");
        var pushes = origin.Invocations.Count(one => one.Method.Name == "PushAsync");
        Assert.That(ended.Output, Does.Contain($"in {pushes} attempts"));
    }

    [Test]
    public async Task That_says_yes_and_does_not_have_the_commit_is_no_merge()
    {
        Pushing(PushEnd.Accepted, "");
        var ended = await Chain.Merge(clone, origin.Object, "--delete-branch");
        ended.Was(ExitCode.Unavailable, "merge.not-there", "the origin said that it took it", "without it");
        Assert.That((Chain.HandOver(clone), origin.Invocations.Any(one => one.Method.Name == "DeleteAsync")),
            Is.EqualTo(((CiSteps.Hosting.Evidence.MergeHandOver?)null, false)));
    }

    [Test]
    public async Task That_cannot_be_read_after_its_yes_is_unavailable_and_not_merged()
    {
        var hasPushed = false;
        Having(() => hasPushed ? throw new UnavailableException("git-unreachable", "no answer within 2m") : chain.Start);
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()))
            .ReturnsAsync(() =>
            {
                hasPushed = true;
                return new PushResult(PushEnd.Accepted, "");
            });
        (await Chain.Merge(clone, origin.Object)).Was(ExitCode.Unavailable, "could not be read whether it is there",
            "run merge again, it reads what is there");
    }

    [Test]
    public async Task That_is_rewound_while_merge_runs_gets_nothing_back_of_what_was_taken_out()
    {
        // The branch stands on a commit that the target had when the chain judged it.
        var leak = chain.MoveMain("other/leak", "a password");
        clone = chain.Branch("ci/y", "app/b", "1");
        await Chain.Passed(clone);
        Having(() => chain.Start);
        (await Chain.Merge(clone, origin.Object)).Was(ExitCode.Refused, "merge.rewound", leak[..12], "would bring that back");
        origin.Verify(
            one => one.PushAsync(It.IsAny<string>(), It.IsAny<string>(), It.IsAny<string>(), It.IsAny<CancellationToken>()),
            Times.Never);
    }

    [TestCase(PushEnd.RequiredCheck, "merge.required-check", "without a check that it does not have")]
    [TestCase(PushEnd.QueueRequired, "merge.queue-required", "merge queue only")]
    [TestCase(PushEnd.Protected, "merge.protected", "is protected on")]
    [TestCase(PushEnd.Hook, "merge.hook", "a hook of")]
    public async Task That_refuses_by_a_rule_says_which_and_what_to_do(PushEnd end, string reason, string says)
    {
        Pushing(end, "its own words");
        (await Chain.Merge(clone, origin.Object)).Was(ExitCode.Refused, reason, says, "its own words; ");
    }

    [Test]
    public async Task That_breaks_the_connection_before_the_push_arrives_is_unavailable_after_some_tries()
    {
        Pushing(PushEnd.Network);
        var (exit, output) = await Chain.MergeAt(TimeProvider.System, clone, origin.Object);
        Assert.That((exit, output.Contains("nothing was merged up to now")), Is.EqualTo((ExitCode.Unavailable, true)), output);
        origin.Verify(
            one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()), Times.Exactly(3));
    }

    [Test]
    public async Task That_breaks_the_connection_after_the_push_arrived_has_it()
    {
        var tip = chain.Start;
        Having(() => tip);
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", chain.Start, It.IsAny<CancellationToken>()))
            .ReturnsAsync((string commit, string _, string _, CancellationToken _) =>
            {
                tip = commit;
                return new PushResult(PushEnd.Network, "connection reset");
            });
        var (exit, output) = await Chain.Merge(clone, origin.Object);
        Assert.That((exit, Chain.HandOver(clone)?.Merged), Is.EqualTo((0, tip)), output);
    }

    [Test]
    public async Task That_wants_other_credentials_is_a_matter_of_settings()
    {
        Pushing(PushEnd.Authentication);
        var (exit, output) = await Chain.Merge(clone, origin.Object);
        Assert.That((exit, output.Contains("CISTEPS_GIT_TOKEN")), Is.EqualTo((ExitCode.Usage, true)), output);
    }

    [Test]
    public async Task That_refuses_otherwise_is_quoted()
    {
        Pushing(PushEnd.Refused, "shallow update not allowed");
        (await Chain.Merge(clone, origin.Object)).Was(ExitCode.Refused, "shallow update not allowed");
    }

    [Test]
    public async Task Without_the_target_branch_is_told_to_get_one()
    {
        Having(() => null);
        (await Chain.Merge(clone, origin.Object)).Was(ExitCode.Refused, "merge.no-target");
    }
}
