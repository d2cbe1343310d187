using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories;
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
    }

    [TearDown]
    public void Removed() => chain.Dispose();

    private void Having(Func<string?> main) => origin.Setup(one => one.FetchAsync(It.IsAny<IReadOnlyList<string>>(), It.IsAny<CancellationToken>()))
        .ReturnsAsync((IReadOnlyList<string> branches, CancellationToken _) => [.. branches.Select(branch => branch == "main" ? main() : clone.Head)]);

    private void Pushing(PushEnd end, string text = "said so") =>
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", It.IsAny<CancellationToken>())).ReturnsAsync(new PushResult(end, text));

    [Test]
    public async Task That_moves_again_and_again_is_given_up_after_five_rounds()
    {
        Pushing(PushEnd.Moved);
        var (exit, output) = await Chain.Merge(clone, origin.Object);
        Assert.That((exit, output.Contains("moved 5 times")), Is.EqualTo((ExitCode.Refused, true)), output);
        origin.Verify(one => one.FetchAsync(new[] { "main", "ci/x" }, It.IsAny<CancellationToken>()), Times.Exactly(5));
        origin.Verify(one => one.PushAsync(It.IsAny<string>(), "main", It.IsAny<CancellationToken>()), Times.Exactly(5));
    }

    [Test]
    public async Task That_breaks_the_connection_before_the_push_arrives_is_unavailable_and_not_pushed_again()
    {
        Pushing(PushEnd.Network);
        var (exit, output) = await Chain.Merge(clone, origin.Object);
        Assert.That((exit, output.Contains("nothing was merged")), Is.EqualTo((ExitCode.Unavailable, true)), output);
        origin.Verify(one => one.PushAsync(It.IsAny<string>(), "main", It.IsAny<CancellationToken>()), Times.Once);
    }

    [Test]
    public async Task That_breaks_the_connection_after_the_push_arrived_has_it()
    {
        var tip = chain.Start;
        Having(() => tip);
        origin.Setup(one => one.PushAsync(It.IsAny<string>(), "main", It.IsAny<CancellationToken>()))
            .ReturnsAsync((string commit, string _, CancellationToken _) =>
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
