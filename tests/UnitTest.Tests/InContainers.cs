using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>Test commands in containers of the local engine.</summary>
[Category("NeedsDocker")]
public sealed class InContainers
{
    private LocalEngine engine = null!;
    private string image = "";

    [OneTimeSetUp]
    public async Task SetUp()
    {
        engine = await LocalEngine.OpenAsync();
        image = (await engine.MakeBaseImageAsync()).ToString();
    }

    [OneTimeTearDown]
    public async Task TearDown() => await engine.DisposeAsync();

    [Test]
    public async Task The_command_runs_in_the_image_on_the_work_tree_and_its_report_is_read()
    {
        using var project = new Project(
            $"run: [sh, api/test.sh]\nimage: {image}\nfolder: .\nformat: junit\nreports: [api/out/*.xml]\nenv:\n  COLOUR: green");
        project.Environment["CISTEPS_REGISTRY_PASSWORD"] = "not for tests";
        project.Environment["CISTEPS_REGISTRY_USER"] = "builder";
        project.Change("api/test.sh",
            "mkdir -p api/out; env | sort; echo '<testsuite><testcase name=\"'$COLOUR $CISTEPS_COMPONENT $(busybox | head -n1 " +
            "| cut -c1-7)'\"/></testsuite>' > api/out/r.xml\n");

        var exit = await project.RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
        var test = project.Results["runs"]![0]!["tests"]![0]!;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((string?)test["name"], Is.EqualTo("green api BusyBox"));
            Assert.That(project.Output, Does.Not.Contain("REGISTRY_PASSWORD").And.Not.Contain("not for tests"));
            var location = $"engine: {engine.Engine.Product} at {LocalEngine.Variables["DOCKER_HOST"]} (DOCKER_HOST)";
            Assert.That(project.Output.Split(location), Has.Length.EqualTo(2), "the engine and why it is this one, said once");
            // Removable by whoever ran the step: nothing in the work tree belongs to somebody else.
            Assert.That(() => Directory.Delete(Path.Combine(project.Clone.Folder, "api/out"), recursive: true), Throws.Nothing);
        }
    }

    [TestCase("./gradlew", "svc")]
    [TestCase("../svc/gradlew", "tools")]
    public async Task A_relative_program_is_looked_up_in_the_folder_as_on_the_agent(string program, string folder)
    {
        using var project = new Project($"run: ['{program}']\nfolder: {folder}\nimage: {image}\nformat: tap");
        project.Clone.Write("tools/gradlew", "#!/bin/sh\nexit 9\n");
        project.Clone.Write("svc/gradlew", "#!/bin/sh\nprintf '1..1\\nok 1 - svc\\n'\n");
        File.SetUnixFileMode(Path.Combine(project.Clone.Folder, "svc/gradlew"),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        var exit = await project.Change().RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
    }

    [Test]
    public async Task A_time_limit_ends_the_container_and_leaves_none()
    {
        using var project = new Project(
            $"run: [sh, -c, 'echo \"=== RUN   TestHangs\"; sleep 600']\nimage: {image}\nformat: tap\ntime-limit: 12s").Change();

        var exit = await project.RunAsync();

        var left = await engine.Engine.ListContainersAsync(new Dictionary<string, string?>
        {
            ["dev.cisteps.chain"] = $"7-{project.Clone.Head[..12]}"
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused), project.Output);
            Assert.That(project.Reason, Is.EqualTo("time-limit"));
            Assert.That(project.Text, Does.Contain("\"TestHangs\" was running"));
            Assert.That(left, Is.Empty);
        }
    }

    [TestCase("localhost/cisteps-no-such-image:1", "no-such-image")]
    [TestCase("not an image", "not an image")]
    public async Task An_image_that_cannot_be_had_is_said_and_not_a_failed_test(string name, string says)
    {
        using var project = new Project($"run: [sh, -c, 'true']\nimage: '{name}'\nformat: tap").Change();

        var exit = await project.RunAsync();

        Assert.That(exit, Is.AnyOf(ExitCode.Usage, ExitCode.Unavailable), project.Output);
        Assert.That(project.Output, Does.Contain(says));
    }
}
