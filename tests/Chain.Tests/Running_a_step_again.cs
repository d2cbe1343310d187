using System.Text.RegularExpressions;

namespace CiSteps.Chain.Tests;

/// <summary>
/// What a person does from TeamCity's page: the same step once more, on the evidence that is there. Published executables, real
/// git, registry, engine and cluster.
/// </summary>
[TestFixture, Category("NeedsDocker")]
[NonParallelizable]
internal sealed partial class Running_a_step_again
{
    private Agent agent = null!;

    [SetUp]
    public async Task SetUp() => agent = await Agent.StartAsync();

    [TearDown]
    public async Task TearDown() => await agent.DisposeAsync();

    [Test]
    public async Task Does_nothing_twice_in_either_chain()
    {
        await TwiceAsync("unit-test", "1 passed");
        await TwiceAsync("image-build", "is already in the registry");
        await TwiceAsync("reserve-testbed", "already held");
        await TakenAnewAsync("integration-deploy");
        await TwiceAsync("merge", "nothing to do");

        agent.CheckOutTarget();
        agent.Number = "8";
        await TwiceAsync("unit-test", "1 passed");
        await TwiceAsync("image-build", "is already in the registry");
        await TwiceAsync("reserve-testbed", "already held");
        await TakenAnewAsync("integration-deploy");
        await TwiceAsync("certify", "certified already");
        await TwiceAsync("promote", "runs these images already");
    }

    [Test]
    public async Task Takes_a_lapsed_lease_anew_and_uses_nothing_of_an_older_chain()
    {
        foreach (var step in new[] { "unit-test", "image-build", "reserve-testbed" }) await DoneAsync(step);
        var first = await agent.LeaseAsync();

        await agent.LapseAsync();
        await DoneAsync("reserve-testbed");
        var second = await agent.LeaseAsync();
        Assert.That(second, Is.EqualTo((first.Number + 1, first.Holder)), "reserve-testbed took it anew");
        Assert.That((int)agent.HandOver("reserve-testbed")!["testbeds"]![0]!["lease"]!, Is.EqualTo(second.Number));

        await agent.LapseAsync();
        await DoneAsync("integration-deploy");
        var third = await agent.LeaseAsync();
        Assert.That(third, Is.EqualTo((second.Number + 1, "")), "integration-deploy took it anew, and gave it back");

        var before = await agent.OutsideAsync();
        agent.Number = "9";
        // These stand on what others state; with only the older chain's word they refuse, and nothing outside has changed.
        foreach (var step in new[] { "reserve-testbed", "integration-deploy", "merge" })
        {
            var (exit, output) = await agent.RunAsync(step);
            Assert.That(exit, Is.EqualTo(1), output);
            Assert.That(output, Does.Contain("7").And.Contain("run "),
                $"the refusal of {step} names the older build and what to run");
        }
        Assert.That(await agent.OutsideAsync(), Is.EqualTo(before));

        // These stand on the sources: they do their work anew, under the new number.
        await DoneAsync("unit-test");
        await DoneAsync("image-build");
        Assert.That((string?)agent.HandOver("image-build")!["images"]![0]!["tag"], Does.StartWith("1.9-"));
        foreach (var step in new[] { "reserve-testbed", "integration-deploy", "merge" }) await DoneAsync(step);

        agent.CheckOutTarget();
        agent.Number = "10";
        foreach (var step in new[] { "unit-test", "image-build", "reserve-testbed", "integration-deploy", "certify" })
            await DoneAsync(step);
        before = await agent.OutsideAsync();
        agent.Number = "11";
        foreach (var step in new[] { "certify", "promote" })
        {
            var (exit, output) = await agent.RunAsync(step);
            Assert.That(exit, Is.EqualTo(1), output);
        }
        Assert.That(await agent.OutsideAsync(), Is.EqualTo(before));
    }

    private async Task DoneAsync(string step)
    {
        var (exit, output) = await agent.RunAsync(step);
        Assert.That(exit, Is.Zero, output);
    }

    // The same evidence before and after, and the same world.
    private async Task TwiceAsync(string step, string says)
    {
        await DoneAsync(step);
        var (stated, outside) = (Stated(step), await agent.OutsideAsync());
        var (exit, output) = await agent.RunAsync(step);
        Assert.That(exit, Is.Zero, output);
        Assert.That(output, Does.Contain(says));
        Assert.That(Stated(step), Is.EqualTo(stated), $"{step} states the same");
        Assert.That(await agent.OutsideAsync(), Is.EqualTo(outside), $"{step} changed something outside");
    }

    // What ran in production before the second run is what the first rolled out.
    private string Stated(string step) => PreviousDigest().Replace(agent.HandOver(step)?.ToJsonString() ?? "", "");

    [GeneratedRegex("\"previousDigest\":(\"[^\"]*\"|null)")]
    private static partial Regex PreviousDigest();

    // It gave its testbed back when it was done: the second run needs one of its own, and gives that back too.
    private async Task TakenAnewAsync(string step)
    {
        var reserved = await agent.LeaseAsync();
        await DoneAsync(step);
        Assert.That(await agent.LeaseAsync(), Is.EqualTo((reserved.Number, "")));
        var outside = await agent.OutsideAsync();
        await DoneAsync(step);
        Assert.That(await agent.LeaseAsync(), Is.EqualTo((reserved.Number + 1, "")));
        Assert.That(await agent.OutsideAsync(), Is.EqualTo(outside));
    }
}
