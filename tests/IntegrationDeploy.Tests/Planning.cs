using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.IntegrationDeploy.Tests;

[TestFixture]
internal sealed class Planning
{
    private const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    private const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private const string Quotes = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    private static readonly RegistryDefinition Registry = new("push.example", "pull.example", "ci", false);

    [Test]
    public void Rolls_from_what_production_runs_beside_what_is_production_ready()
    {
        var plan = Plan(production: new()
        {
            ["push.example/greeter:1-production"] = Old,
            ["push.example/quotes:2-production"] = Quotes
        });

        var suite = plan.Suites.Single();
        Assert.Multiple(() =>
        {
            Assert.That(plan.Refusal, Is.Null);
            Assert.That(suite.Services.Single().BaseDigest, Is.EqualTo(Old));
            Assert.That(suite.Services.Single().Pulled.ToString(), Is.EqualTo($"pull.example/ci/greeter@{New}"));
            Assert.That(
                suite.Dependents.Single().Pinned,
                Is.EqualTo(new PinnedDependent("quotes", "push.example/quotes", Quotes, "2-production")));
            Assert.That(suite.Dependents.Single().Image.Repository, Is.EqualTo("pull.example/quotes"));
            Assert.That(suite.ToString(), Does.Contain("greeter rolled from sha256:000000000000 to sha256:111111111111"));
        });
    }

    [Test]
    public void Deploys_afresh_when_production_has_nothing_or_the_same()
    {
        Assert.Multiple(() =>
        {
            Assert.That(
                Plan(production: new()
                {
                    ["push.example/quotes:2-production"] = Quotes
                }).Suites.Single().Services.Single().BaseDigest,
                Is.Null);
            Assert.That(
                Plan(production: new()
                {
                    ["push.example/greeter:1-production"] = New,
                    ["push.example/quotes:2-production"] = Quotes
                }).Suites.Single().Services.Single().BaseDigest,
                Is.Null);
        });
    }

    [Test]
    public void Refuses_a_dependent_that_is_not_production_ready_and_says_what_to_do()
    {
        var refusal = Plan(production: []).Refusal!.Value;

        Assert.That(refusal.Reason, Is.EqualTo("dependent-not-ready"));
        Assert.That(refusal.Text, Does.Contain("\"2-production\"").And.Contain("bootstrap"));
    }

    [Test]
    public void Takes_the_bootstrap_image_on_the_first_run_ever()
    {
        var plan = Plan(
            bootstrap: "push.example/quotes:2.0-first", production: new() { ["push.example/quotes:2.0-first"] = Quotes });

        Assert.That(
            plan.Suites.Single().Dependents.Single().Pinned,
            Is.EqualTo(new PinnedDependent("quotes", "push.example/quotes", Quotes, "bootstrap")));
        Assert.That(
            Plan(bootstrap: "push.example/quotes:2.0-first", production: []).Refusal!.Value.Text,
            Does.Contain("push the bootstrap image"));
    }

    [Test]
    public void Leaves_out_suites_that_concern_nothing_new()
    {
        var plan = Plan(built: false, production: []);

        Assert.Multiple(() =>
        {
            Assert.That(plan.Suites, Is.Empty);
            Assert.That(plan.Refusal, Is.Null);
            Assert.That(plan.Skipped.Single(), Is.EqualTo(("smoke", "nothing new of greeter")));
        });
    }

    [Test]
    public void Runs_a_suite_that_is_changed_itself_on_certified_images()
    {
        var suite = Plan(built: false, production: new() { ["push.example/quotes:2-production"] = Quotes },
            changed: true).Suites.Single();

        Assert.That((suite.Services.Single().Image.Digest, suite.Services.Single().BaseDigest),
            Is.EqualTo((New, default(string))));
    }

    [Test]
    public void Refuses_without_a_testbed() =>
        Assert.That(
            Plan(held: false, production: new() { ["push.example/quotes:2-production"] = Quotes }).Refusal!.Value.Reason,
            Is.EqualTo("no-testbed"));

    // The target's suite tests the component. A change that takes the component out, or what makes it one that is deployed, must
    // not pass as one that no suite concerns.
    [TestCase("component")]
    [TestCase("image")]
    [TestCase("workload")]
    [TestCase("name")]
    public void Refuses_a_change_that_takes_a_component_out_of_a_suite_of_the_target(string what)
    {
        var taken = Plan(production: [], takenOut: what);
        var elsewhere = Plan(production: [], takenOut: what, isTouched: false);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(taken.Refusal?.Reason, Is.EqualTo("component-taken-out"));
            Assert.That(taken.Refusal?.Text, Does.Contain("the target's component \"greeter\" has no result of suite \"smoke\"")
                .And.Contain("remove it from the suites on the target first"));
            Assert.That(elsewhere.Refusal, Is.Null, "a target that has gone on without this change");
        }
    }

    private static IntegrationPlan Plan(Dictionary<string, string?> production, bool built = true, bool held = true,
        string? bootstrap = null,
        bool changed = false, string? takenOut = null, bool isTouched = true)
    {
        var workload = new WorkloadDefinition(["k8s"], "Deployment", "greeter", "greeter", TimeSpan.FromMinutes(1));
        var component = new ComponentDefinition(
            "greeter",
            ["greeter/**"],
            [],
            1,
            [],
            [],
            null,
            new ImageDefinition("Dockerfile", ".", null, new Dictionary<string, string>(), null, "engine"),
            workload);
        var suite = new SuiteDefinition(
            "smoke",
            ["greeter"],
            "small",
            "smoke",
            [],
            [new DependentDefinition("quotes", "push.example/quotes", 2, bootstrap, workload)],
            new SuiteTestsDefinition("job.yaml", null, [], "tap"),
            TimeSpan.FromMinutes(1));
        var definition = new PipelineDefinition(
            Registry,
            new BranchesDefinition("main", "ci/*"),
            [component],
            [suite],
            null,
            new NotificationsDefinition(new Dictionary<string, OwnerDefinition>(), null),
            "ci-steps.yaml");
        var change = takenOut is null ? definition : definition with
        {
            Components = takenOut switch
            {
                "component" => [],
                "image" => [component with { Image = null }],
                "workload" => [component with { Workload = null }],
                _ => [component with { Name = "another" }],
            },
        };
        return IntegrationPlan.For(new IntegrationFacts(change, definition,
            [new BuiltImage("greeter", "push.example/ci/greeter", "1.7-abc", New, built)],
            production.ToDictionary(pair => ImageReference.Parse(pair.Key), pair => pair.Value),
            held ? [new HeldTestbed("smoke", "small", "claim", "bed-1", 3)] : [])
        {
            ChangedSuites = changed ? new HashSet<string> { "smoke" } : [],
            Touched = isTouched ? new HashSet<string> { "greeter" } : [],
        });
    }
}
