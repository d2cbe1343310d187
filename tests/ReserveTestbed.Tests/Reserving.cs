using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;
using Moq;

namespace CiSteps.ReserveTestbed.Tests;

[TestFixture]
internal sealed class Reserving
{
    private Chain chain = null!;
    private Mock<ITestbeds> testbeds = null!;

    [SetUp]
    public void SetUp()
    {
        chain = new Chain();
        testbeds = new Mock<ITestbeds>(MockBehavior.Strict);
        testbeds.Setup(t => t.Dispose());
        testbeds.Setup(t => t.FindAsync(It.IsAny<RunIdentity>(), It.IsAny<CancellationToken>())).ReturnsAsync([]);
    }

    [TearDown]
    public void TearDown() => chain.Dispose();

    [Test]
    public async Task Claims_as_one_set_what_the_suites_of_new_images_need()
    {
        await chain.BuiltAsync(("app", true), ("worker", false));
        ClaimRequest? asked = null;
        Claiming(request => asked = request, chain.Held("smoke"), chain.Held("load", "large", "bed-9"));

        var (exit, _) = await chain.ReserveAsync(testbeds.Object);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(asked!.Wishes, Is.EqualTo(new[] { new TestbedWish("smoke", "small"), new TestbedWish("load", "large") }));
            Assert.That(chain.HandedOver(), Is.EqualTo(new[] { "smoke:bed-1", "load:bed-9" }));
        });
    }

    [Test]
    public async Task Nothing_is_reserved_when_no_image_was_built()
    {
        await chain.BuiltAsync(("app", false));

        var (exit, output) = await chain.ReserveAsync(null);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(output, Does.Contain("nothing to reserve: no image was built"));
            Assert.That(chain.HandedOver(), Is.Empty);
        });
    }

    [Test]
    public async Task Claims_for_a_suite_whose_own_files_changed_though_no_image_was_built()
    {
        chain.Change("jobs/k8s/seed.yaml");
        await chain.BuiltAsync(("app", false), ("worker", false));
        ClaimRequest? asked = null;
        Claiming(request => asked = request, chain.Held("jobs"));

        var (exit, output) = await chain.ReserveAsync(testbeds.Object);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), output);
            Assert.That(asked!.Wishes, Is.EqualTo(new[] { new TestbedWish("jobs", "small") }));
            Assert.That(output, Does.Contain("the change touches what \"jobs\" is made of"));
        });
    }

    [Test]
    public async Task Without_evidence_of_the_images_nothing_is_reserved()
    {
        var (exit, output) = await chain.ReserveAsync(testbeds.Object);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(output, Does.Contain("reserve-testbed.no-evidence").And.Contain("run image-build first"));
        });
    }

    [Test]
    public async Task A_second_run_finds_the_same_claims_and_takes_nothing()
    {
        await chain.BuiltAsync(("worker", true));
        testbeds
            .Setup(t => t.FindAsync(It.IsAny<RunIdentity>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync([chain.Held("jobs"), chain.Held("load", "large", "bed-9")]);

        var (exit, output) = await chain.ReserveAsync(testbeds.Object);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(output, Does.Contain("already held"));
            Assert.That(chain.HandedOver(), Is.EquivalentTo(new[] { "jobs:bed-1", "load:bed-9" }));
        });
    }

    [Test]
    public async Task None_free_in_time_is_an_outside_failure_with_a_stable_identity()
    {
        await chain.BuiltAsync(("app", true));
        testbeds.Setup(t => t.ClaimAsync(It.IsAny<ClaimRequest>(), TimeSpan.FromSeconds(90), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new UnavailableException("no-testbed-free",
                "no free testbed of class \"small\" within 1m 30s; bed-1 is held by build 812"));

        var (exit, output) = await chain.ReserveAsync(testbeds.Object, "--wait", "90s");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Unavailable));
            Assert.That(output, Does.Contain("reserve-testbed.no-testbed-free: no free testbed of class \"small\""));
        });
    }

    [Test]
    public async Task A_claim_for_a_suite_that_need_not_run_is_given_back()
    {
        await chain.BuiltAsync(("worker", true));
        testbeds
            .Setup(t => t.FindAsync(It.IsAny<RunIdentity>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync([chain.Held("smoke")]);
        testbeds.Setup(t => t.ReleaseAsync(chain.NameOf("smoke"), It.IsAny<CancellationToken>())).ReturnsAsync(true);
        Claiming(_ => { }, chain.Held("load", "large"), chain.Held("jobs"));

        await chain.ReserveAsync(testbeds.Object);

        testbeds.Verify(t => t.ReleaseAsync(chain.NameOf("smoke"), It.IsAny<CancellationToken>()), Times.Once);
    }

    [Test]
    public async Task A_dry_run_says_what_would_be_claimed_and_touches_nothing()
    {
        await chain.BuiltAsync(("app", true));

        var (exit, output) = await chain.ReserveAsync(testbeds.Object, "--dry-run");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(output, Does.Contain("suite \"smoke\" needs a testbed of class \"small\""));
        });
    }

    [TestCase(new[] { "a", "b" }, "gave back a, b")]
    [TestCase(new string[0], "nothing was held")]
    public async Task Release_gives_back_whatever_the_chain_holds(string[] released, string says)
    {
        testbeds
            .Setup(t => t.ReleaseAllAsync(It.Is<RunIdentity>(run => run.BuildNumber == "17"), It.IsAny<CancellationToken>()))
            .ReturnsAsync(released);

        var (exit, output) = await chain.ReserveAsync(testbeds.Object, "--give-back");

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done));
            Assert.That(output, Does.Contain(says));
        });
    }

    [Test]
    public async Task With_neither_pool_nor_cluster_the_message_says_what_to_give()
    {
        await chain.BuiltAsync(("app", true));

        var (exit, output) = await chain.ReserveAsync(null);

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(output, Does.Contain("--pool-kubeconfig").And.Contain("--kubeconfig"));
        });
    }

    private void Claiming(Action<ClaimRequest> seen, params HeldTestbed[] held) =>
        testbeds.Setup(t => t.ClaimAsync(It.IsAny<ClaimRequest>(), It.IsAny<TimeSpan>(), It.IsAny<CancellationToken>()))
            .Callback((ClaimRequest request, TimeSpan _, CancellationToken _) => seen(request)).ReturnsAsync(held);
}
