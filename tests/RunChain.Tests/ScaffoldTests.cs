using CiSteps.Pipeline;
using CiSteps.RunChain.Checking;
using CiSteps.RunChain.Commands;
using CiSteps.RunChain.Scaffolding;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Tests;

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
        var exit = await Hosting.ProgramHost.RunAsync(RunChainProgram.Create(), ["scaffold", "--settings", folder, "--service", "greeter-api", "--repository", "ssh://git@git.example/a&b.git", .. more],
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
        Assert.That(tree.Ancestry("CiSteps_GreeterApi_Branch").Select(project => project.Id), Is.EqualTo(new[] { "CiSteps_GreeterApi_Branch", "CiSteps_GreeterApi", "CiSteps" }));
        Assert.That(Chains.ChainPlanner.Triggered(tree, "dev/x").Tops, Is.EqualTo(new[] { "CiSteps_GreeterApi_Branch_Result" }));
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
    public void Refuses_what_makes_no_settings(string service, string pattern, string why) => Assert.That(
        () => ServiceSettings.For(Path.Combine(folder, ".teamcity"), new ServiceRequest(service, "url", "main", pattern)), Throws.InstanceOf<Hosting.UsageException>().With.Message.Contains(why));

    [Test]
    public async Task Starts_a_pipeline_file_from_what_the_repository_holds()
    {
        var service = Path.Combine(folder, "service");
        foreach (var (path, text) in new[]
        {
            ("greeter/Dockerfile", "FROM scratch"), ("greeter/k8s/all.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: greeter\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels: {}\n  name: greeter\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          image: greeter\n"),
            ("greeter/tests/Greeter.Tests.csproj", "<Project/>"), ("tool/go.mod", "module x"), ("tool/Dockerfile", "FROM scratch"), ("node_modules/x/Dockerfile", "FROM scratch"),
        })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(service, path))!);
            File.WriteAllText(Path.Combine(service, path), text);
        }
        await RunAsync("--work-tree", service);
        var pipeline = PipelineFile.Read(Path.Combine(service, "ci-steps.yaml"));
        Assert.That(pipeline.Components.Select(component => component.Name), Is.EqualTo(new[] { "greeter", "tool" }));
        Assert.That(pipeline.Components[0].Workload, Has.Property("Container").EqualTo("web").And.Property("Name").EqualTo("greeter"));
        Assert.That(pipeline.Components.Select(component => component.UnitTests.Single().Format), Is.EqualTo(new[] { "trx", "go-json" }));
    }

    private Dictionary<string, string> Snapshot() => Directory.GetFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(file => file, File.ReadAllText);
}
