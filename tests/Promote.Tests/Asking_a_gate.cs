using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

/// <summary>A health gate passes on answers: every one since its time began.</summary>
[TestFixture]
internal sealed class Asking_a_gate
{
    private static readonly GateDefinition Gate = new("https://shop.example/healthz", TimeSpan.FromMilliseconds(100),
        TimeSpan.FromMilliseconds(600));

    [Test]
    public async Task Begins_anew_with_every_answer_that_is_not_healthy()
    {
        // 200, 500, 500 once passed: the first answer began the time, and two bad ones were forgiven.
        var (failure, asked) = await PassAsync(number => number % 3 == 1 ? GateAnswer.Healthy
            : new GateAnswer(false, "HTTP 500"));

        Assert.That((failure!.Reason, failure.IsOwn), Is.EqualTo(("unhealthy", true)));
        Assert.That(asked, Is.GreaterThan(3));
    }

    [Test]
    public async Task Passes_after_a_lost_answer_when_all_that_come_after_it_are_healthy()
    {
        var (failure, asked) = await PassAsync(number => number == 2 ? throw new UnavailableException("gate-silent", "reset")
            : GateAnswer.Healthy);

        Assert.That(failure, Is.Null);
        Assert.That(asked, Is.GreaterThan(3), "the time began anew");
    }

    [Test]
    public async Task Is_no_verdict_without_answers()
    {
        var silent = await Assert.ThrowsAsync<UnavailableException>(() =>
            PassAsync(_ => throw new UnavailableException("gate-silent", "nobody there")));

        Assert.That(silent!.Reason, Is.EqualTo("gate-silent"));
        Assert.That(silent.Message, Does.Contain("gives no answer").And.Contain("nobody there"));
    }

    [Test]
    public async Task Never_passes_what_falls_ill_again_and_again()
    {
        var (failure, _) = await PassAsync(number => number % 2 == 0 ? new GateAnswer(false, "HTTP 503") : GateAnswer.Healthy,
            soaks: true);

        Assert.That(failure!.Reason, Is.EqualTo("unhealthy"));
    }

    [Test]
    public void Takes_the_status_that_it_asks_for()
    {
        Assert.Multiple(() =>
        {
            Assert.That(new[] { 200, 204, 299, 301, 500 }.Select(Gate.Takes),
                Is.EqualTo(new[] { true, true, true, false, false }));
            Assert.That(new[] { 200, 401 }.Select((Gate with { Status = 401 }).Takes), Is.EqualTo(new[] { false, true }));
        });
    }

    private static async Task<(StepFailure? Failure, int Asked)> PassAsync(Func<int, GateAnswer> answer, bool soaks = false)
    {
        var asked = 0;
        using var world = ScriptedWorld.Running(ScriptedWorld.New, "shop");
        world.Gate = _ => answer(++asked);
        return (await Gates.PassAsync(world, Gate with { For = TimeSpan.FromMilliseconds(100) }, "shop", "shop", soaks,
            BuildLog.Silent, TimeProvider.System, default), asked);
    }
}
