using CiSteps.Cli.Commands;
using CiSteps.Fixtures;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Scaffolding;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Tests;

public sealed class Scaffolding_one_more_service
{
    private string folder = "";

    [SetUp]
    public void Make()
    {
        folder = Directory.CreateTempSubdirectory("cisteps-scaffold-").FullName;
        ShippedSettings.CopyTo(folder);
    }

    [TearDown]
    public void Remove() => Directory.Delete(folder, recursive: true);

    private async Task<(int Exit, string Output, string Error)> RunAsync(params string[] more)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        var exit = await Hosting.ProgramHost.RunAsync(
            CiStepsProgram.Create(),
            [
                "scaffold",
                "--settings",
                folder,
                "--service",
                "greeter-api",
                "--repository",
                "ssh://git@git.example/a&b.git",
                .. more
            ],
            output, error, new Dictionary<string, string>());
        return (exit, output.ToString(), error.ToString());
    }

    [Test]
    public async Task Gives_settings_that_the_checker_likes_and_that_run()
    {
        Assert.That((await RunAsync("--private-branches", "dev/*")).Exit, Is.Zero);
        var tree = SettingsReader.Read(folder);
        Assert.That(SettingsCheck.Run(tree), Is.Empty);
        var root = tree.VcsRoots["CiSteps_GreeterApi_Repository"];
        Assert.That(root.Parameters["url"], Is.EqualTo("ssh://git@git.example/a&b.git"));
        Assert.That(tree.Builds["CiSteps_GreeterApi_Release_Promote"].Templates, Is.EqualTo(new[] { "CiSteps_Promote" }));
        Assert.That(
            tree.Ancestry("CiSteps_GreeterApi_Branch").Select(project => project.Id),
            Is.EqualTo(new[] { "CiSteps_GreeterApi_Branch", "CiSteps_GreeterApi", "CiSteps" }));
        Assert.That(ChainPlanner.Triggered(tree, "dev/x").Tops, Is.EqualTo(new[] { "CiSteps_GreeterApi_Branch_Result" }));
        Assert.That(
            ChainPlanner.Triggered(tree, "main", "CiSteps_GreeterApi").Tops,
            Is.EqualTo(new[] { "CiSteps_GreeterApi_Release_Result" }));
    }

    [Test]
    public async Task Changes_nothing_the_second_time()
    {
        await RunAsync();
        var before = Snapshot();
        var (exit, output, _) = await RunAsync();
        Assert.That(exit, Is.Zero);
        Assert.That(output, Does.Contain("up to date"));
        Assert.That(Snapshot(), Is.EqualTo(before));
    }

    [Test]
    public async Task Shows_what_differs_and_overwrites_only_when_told()
    {
        await RunAsync();
        var file = Path.Combine(folder, ".teamcity", "CiSteps_GreeterApi", "project-config.xml");
        File.WriteAllText(file, File.ReadAllText(file).Replace("<name>greeter-api</name>", "<name>mine</name>"));
        var (exit, output, error) = await RunAsync();
        Assert.That((exit, output, error), Is.EqualTo((1, output, error)));
        Assert.That(output, Does.Contain("-  <name>mine</name>").And.Contain("+  <name>greeter-api</name>"));
        Assert.That(error, Does.Contain("nothing was written"));
        Assert.That(File.ReadAllText(file), Does.Contain("mine"));
        Assert.That((await RunAsync("--overwrite")).Exit, Is.Zero);
        Assert.That(File.ReadAllText(file), Does.Not.Contain("mine"));
    }

    [Test]
    public async Task Writes_nothing_on_a_dry_run()
    {
        var before = Snapshot();
        Assert.That((await RunAsync("--dry-run")).Output, Does.Contain("new      CiSteps_GreeterApi/project-config.xml"));
        Assert.That(Snapshot(), Is.EqualTo(before));
    }

    [TestCase("1-x", "ci/*", "gives no id")]
    [TestCase("x", "ci", "exactly one star")]
    [TestCase("x", "*/*", "exactly one star")]
    [TestCase("x", "*", "takes the target branch")]
    [TestCase("x", "m*n", "takes the target branch")]
    [TestCase("x", "refs/heads/ci/*", "without refs/heads/")]
    public void Refuses_what_makes_no_settings(string service, string pattern, string why) => Assert.That(
        () => ServiceSettings.For(Path.Combine(folder, ".teamcity"), new ServiceRequest(service, "url", "main", pattern)),
        Throws.InstanceOf<Hosting.UsageException>().With.Message.Contains(why));

    [Test]
    public async Task Gives_the_service_parameters_of_its_own()
    {
        await RunAsync("--target-branch", "develop");
        var tree = SettingsReader.Read(folder);
        Assert.That(
            tree.Projects["CiSteps_GreeterApi"].Parameters["cisteps.target.branch"],
            Is.EqualTo("develop"),
            "the parent's names another branch");
        Assert.That(tree.VcsRoots["CiSteps_GreeterApi_Repository"].Parameters["branch"], Is.EqualTo("refs/heads/develop"));
        Assert.That(
            tree.VcsRoots["CiSteps_GreeterApi_Repository"].Parameters["authMethod"],
            Is.EqualTo("PRIVATE_KEY_DEFAULT"),
            "ssh knows no anonymous reading");
        Assert.That(SettingsCheck.Run(tree), Is.Empty);
        var uuids = tree.Projects.Values.Select(project => project.Uuid)
            .Concat(tree.Builds.Values.Select(build => build.Uuid))
            .Concat(tree.VcsRoots.Values.Select(root => root.Uuid))
            .ToList();
        Assert.That(uuids, Is.Unique);
    }

    [Test]
    public async Task Copies_no_secret_and_keeps_the_services_own()
    {
        const string Reference = "credentialsJSON:11111111-2222-3333-4444-555555555555";
        string Of(string project) => Path.Combine(folder, ".teamcity", project, "project-config.xml");
        void Write(string project) =>
            File.WriteAllText(
                Of(project),
                File
                    .ReadAllText(Of(project))
                    .Replace("name=\"env.CISTEPS_SIGNING_KEY\" value=\"\"",
                        $"name=\"env.CISTEPS_SIGNING_KEY\" value=\"{Reference}\""));
        Write("CiSteps_Release");
        await RunAsync();
        Assert.That(File.ReadAllText(Of("CiSteps_GreeterApi_Release")), Does.Not.Contain(Reference));
        Write("CiSteps_GreeterApi_Release");
        Assert.That((await RunAsync()).Output, Does.Contain("up to date"));
        Assert.That(File.ReadAllText(Of("CiSteps_GreeterApi_Release")), Does.Contain(Reference));
    }

    [TestCase("merge", "https://git.example/x.git", "settings use already")]
    [TestCase("branch", "https://git.example/x.git", "the id of the pattern itself")]
    [TestCase(
        "greeter.api",
        "https://git.example/x.git",
        "a service \"CiSteps_GreeterApi\" of the repository ssh://git@git.example/a&b.git")]
    [TestCase("other", "https://user:secret@git.example/x.git", "a password or a token")]
    [TestCase("other", "https://secret@git.example/x.git", "a password or a token")]
    [TestCase("other", "https://git.example/x.git?token=secret@", "a password or a token")]
    [TestCase("other", "", "is not an address")]
    [TestCase("other", "https://git.example/x.git\n", "is not an address")]
    [TestCase("other", "https://git.example/My%20Team/x.git", "reads as a parameter's")]
    public async Task Refuses_what_would_mix_with_something_else(string service, string repository, string why)
    {
        await RunAsync();
        var before = Snapshot();
        var error = new StringWriter();
        var exit = await Hosting.ProgramHost.RunAsync(
            CiStepsProgram.Create(),
            ["scaffold", "--settings", folder, "--service", service, "--repository", repository, "--overwrite"],
            new StringWriter(),
            error,
            new Dictionary<string, string>());
        Assert.That((exit, error.ToString()), Is.EqualTo((2, error.ToString())));
        Assert.That(error.ToString(), Does.Contain(why).And.Not.Contain("secret@"));
        Assert.That(Snapshot(), Is.EqualTo(before));
    }

    [TestCase("ma in")]
    [TestCase("main]]>")]
    [TestCase("a..b")]
    public void Refuses_what_is_no_branch(string branch) => Assert.That(
        () => ServiceSettings.For(Path.Combine(folder, ".teamcity"), new ServiceRequest("x", "url", branch, "ci/*")),
        Throws.InstanceOf<Hosting.UsageException>().With.Message.Contains("not a branch's name"));

    private Dictionary<string, string> Snapshot() =>
        Directory.GetFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(file => file, File.ReadAllText);
}
