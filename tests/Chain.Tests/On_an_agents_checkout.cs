using CiSteps.Fixtures;

namespace CiSteps.Chain.Tests;

/// <summary>The chain of a private branch on every kind of checkout that build servers make: published executables, real git.
/// Nothing is green there that would be red on a full clone.</summary>
[TestFixture("single-branch")]
[TestFixture("depth-1")]
[TestFixture("detached")]
[TestFixture("mirror-fed")]
internal sealed class On_an_agents_checkout(string how)
{
    private GitRepositories git = null!;
    private GitClone author = null!;

    [SetUp]
    public void A_service()
    {
        git = new GitRepositories();
        author = git.Clone("author");
        author.Write("ci-steps.yaml", """
            registry: { push: "127.0.0.1:9" }
            components:
              - { name: api, paths: [api/**], unit-tests: [{ name: unit, run: [sh, api/test.sh], format: tap }] }
              - { name: web, paths: [web/**], unit-tests: [{ name: unit, run: [sh, web/test.sh], format: tap }] }
            """);
        foreach (var component in new[] { "api", "web" }) author.Write($"{component}/test.sh", "echo 1..1; echo ok 1 - works\n");
        author.Commit("Begin");
        author.Push();
        author.Branch("ci/x");
    }

    [TearDown]
    public void Removed() => git.Dispose();

    private GitClone CheckOut()
    {
        author.Push();
        switch (how)
        {
            case "single-branch":
                return git.Clone("agent", "--single-branch", "--branch=ci/x");
            case "depth-1":
                return git.Clone("agent", "--depth=1", "--branch=ci/x");
            case "mirror-fed":
                GitRepositories.Run(git.Folder, "git", "clone", "--quiet", "--mirror", "file://" + git.Origin, "mirror.git");
                return git.Clone("agent", "--single-branch", "--branch=ci/x", "--reference=" +
                    Path.Combine(git.Folder, "mirror.git"));
            default:
                var clone = new GitClone(Path.Combine(git.Folder, "agent"));
                Directory.CreateDirectory(clone.Folder);
                clone.Git("init", "--quiet");
                clone.Git("remote", "add", "origin", "file://" + git.Origin);
                clone.Git("fetch", "--quiet", "origin", "+refs/heads/ci/x:refs/remotes/origin/ci/x");
                clone.Git("checkout", "--quiet", "--detach", "refs/remotes/origin/ci/x");
                return clone;
        }
    }

    private async Task<(int Exit, string Output)> RunAsync(GitClone clone, string step)
    {
        var properties = Path.Combine(git.Folder, "build.properties");
        await File.WriteAllTextAsync(properties, "build.number=7\nteamcity.build.branch=ci/x\n");
        var (exit, output) = await Executables.RunAsync(Path.Combine(Executables.Folder, step), [], clone.Folder, git.Folder,
            new()
            {
                ["TEAMCITY_VERSION"] = "2025.11",
                ["TEAMCITY_BUILD_PROPERTIES_FILE"] = properties,
            });
        return (exit, $"{step}:\n{output}");
    }

    [Test]
    public async Task A_change_whose_test_fails_is_red_and_not_merged()
    {
        author.Commit("api/test.sh", "echo 1..1; echo not ok 1 - works\n");
        var clone = CheckOut();
        var main = git.Git("rev-parse", "main");
        var (exit, output) = await RunAsync(clone, "unit-test");
        Assert.That(exit, Is.EqualTo(1), output);
        foreach (var step in new[] { "image-build", "reserve-testbed", "integration-deploy", "merge" })
        {
            (exit, output) = await RunAsync(clone, step);
            Assert.That(exit, Is.EqualTo(1), output);
        }
        Assert.That(git.Git("rev-parse", "main"), Is.EqualTo(main));
    }

    [Test]
    public async Task A_change_that_takes_its_tests_out_is_still_tested()
    {
        author.Write("ci-steps.yaml", File.ReadAllText(Path.Combine(author.Folder, "ci-steps.yaml"))
            .Replace(", unit-tests: [{ name: unit, run: [sh, api/test.sh], format: tap }]", ""));
        author.Commit("api/test.sh", "echo 1..1; echo not ok 1 - works\n");
        var (exit, output) = await RunAsync(CheckOut(), "unit-test");
        Assert.That(exit, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("takes out its unit tests").And.Contain("differ in what"));
    }

    [Test]
    public async Task A_good_change_is_tested_where_it_changed_and_lands()
    {
        author.Commit("api/text", "new");
        var clone = CheckOut();
        // Somebody else lands elsewhere meanwhile: the merge is a real one.
        author.Checkout("main");
        author.Write("web/.gitattributes", "*.log merge=union\n");
        author.Commit("web/text", "new there");
        author.Push();
        foreach (var step in new[] { "unit-test", "image-build", "reserve-testbed", "integration-deploy", "merge" })
        {
            var (exit, output) = await RunAsync(clone, step);
            Assert.That(exit, Is.Zero, output);
            if (step == "unit-test") Assert.That(output, Does.Contain("api").And.Contain("web  skip"), output);
        }
        Assert.That(git.Git("show", "main:api/text", "main:web/text"), Is.EqualTo("newnew there"));
    }
}
