using CiSteps.Fixtures;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Tests;

public sealed class A_dependency_failure_option
{
    private static SnapshotDependency Dependency(string? failed, string? notStarted)
    {
        var at = new SourceLocation("x", 1);
        var options = new List<Option>();
        if (failed is not null) options.Add(new("run-build-if-dependency-failed", failed, at));
        if (notStarted is not null) options.Add(new("run-build-if-dependency-failed-to-start", notStarted, at));
        return new("A", options, at);
    }

    [Test]
    public void Decides_by_how_the_dependency_ended(
        [Values(null, "MAKE_FAILED_TO_START", "CANCEL", "RUN", "RUN_ADD_PROBLEM")] string? failed,
        [Values(null, "MAKE_FAILED_TO_START", "CANCEL", "RUN", "RUN_ADD_PROBLEM")] string? notStarted)
    {
        static DependencyVerdict Meant(string? option) => option switch
        {
            "RUN" => DependencyVerdict.Run,
            "RUN_ADD_PROBLEM" => DependencyVerdict.RunWithProblem,
            "CANCEL" => DependencyVerdict.Cancel,
            _ => DependencyVerdict.FailToStart,
        };
        var dependency = Dependency(failed, notStarted);
        Assert.That(DependencyVerdicts.Of(dependency, BuildState.Succeeded), Is.EqualTo(DependencyVerdict.Run));
        Assert.That(DependencyVerdicts.Of(dependency, BuildState.Failed), Is.EqualTo(Meant(failed)));
        Assert.That(DependencyVerdicts.Of(dependency, BuildState.FailedToStart), Is.EqualTo(Meant(notStarted)));
        Assert.That(DependencyVerdicts.Of(dependency, BuildState.Cancelled), Is.EqualTo(Meant(notStarted)));
    }

    [Test]
    public void Yields_to_a_harder_one() => Assert.That(DependencyVerdicts.Of(
        [
            (Dependency("RUN", null), BuildState.Failed),
            (Dependency("CANCEL", null), BuildState.Failed),
            (Dependency("RUN_ADD_PROBLEM", null), BuildState.Failed)
        ]),
        Is.EqualTo(DependencyVerdict.Cancel));
}

public sealed class A_plan
{
    [Test]
    public void Queues_what_the_trigger_takes_in_dependency_order()
    {
        using var toy = Diamond();
        var plan = ChainPlanner.Triggered(toy.Load(), "ci/x");
        Assert.That(plan.Builds.Select(build => build.Id), Is.EqualTo(new[] { "Toy_A", "Toy_B", "Toy_C", "Toy_D" }));
        Assert.That(plan.Rounds().Select(round => round.Count), Is.EqualTo(new[] { 1, 2, 1 }));
        Assert.That(plan.Branch, Is.EqualTo(new ChainBranch("ci/x", "refs/heads/ci/x", false)));
    }

    [TestCase("main", "trigger takes +:ci/*")]
    [TestCase("feature/x", "branch specification does not admit it")]
    public void Refuses_a_branch_that_no_trigger_takes_and_names_the_filters(string branch, string why)
    {
        using var toy = Diamond();
        var tree = toy.Load();
        Assert.That(
            () => ChainPlanner.Triggered(tree, branch),
            Throws.InstanceOf<CiSteps.Hosting.UsageException>().With.Message.Contains(why));
    }

    [Test]
    public void Refuses_a_circle()
    {
        using var toy = new ToyTree().Root("x");
        toy
            .Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_B")))
            .Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A")));
        var tree = toy.Load();
        Assert.That(
            () => ChainPlanner.Triggered(tree, "ci/x"),
            Throws.InstanceOf<CiSteps.Hosting.UsageException>().With.Message.Contains("Toy_A -> Toy_B -> Toy_A"));
    }

    [TestCase(" paused=\"true\"")]
    public void Leaves_paused_configurations_alone(string attributes)
    {
        using var toy = new ToyTree().Root("x");
        toy.Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger(), attributes: attributes);
        var tree = toy.Load();
        Assert.That(() => ChainPlanner.Triggered(tree, "ci/x"), Throws.InstanceOf<CiSteps.Hosting.UsageException>());
    }

    private static ToyTree Diamond()
    {
        var toy = new ToyTree().Root("x");
        return toy.Build("Toy_A", ToyTree.Vcs)
            .Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_C", ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_D",
                ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_B"), ToyTree.After("Toy_C")));
    }
}
