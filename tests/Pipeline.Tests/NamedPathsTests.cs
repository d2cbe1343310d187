using CiSteps.Hosting;

namespace CiSteps.Pipeline.Tests;

/// <summary>What a component's commands name is the component's.</summary>
public sealed class NamedPathsTests
{
    [TestCase(".", "sh|tools/test.sh", "tools/test.sh", true)]
    [TestCase("svc", "./gradlew|test", "svc/gradlew", true)]
    [TestCase("svc", "./gradlew|test", "gradlew", false)]
    [TestCase("svc", "../tools/all.sh", "tools/all.sh", true)]
    [TestCase("svc", "../../outside", "outside", false)]
    [TestCase(".", "pytest|tests", "tests/deep/test_a.py", true)]
    [TestCase(".", "pytest|tests", "tests2/test_a.py", false)]
    [TestCase(".", "pytest|.", "anything.py", false)]
    [TestCase(".", "go|test|./...", "main.go", false)]
    [TestCase(".", "run|--config=ci/x.json", "ci/x.json", true)]
    [TestCase(".", "sh|-c|cd svc && ./run.sh", "svc/run.sh", true)]
    [TestCase(".", "sh|-c|. ./lib.sh; echo $(cat 'data/a.txt')", "data/a.txt", true)]
    [TestCase(".", "/usr/bin/make|-C|web", "web/Makefile", true)]
    [TestCase(".", "docker|run|registry.example/x:1", "registry.example/x", false)]
    public void Words_of_a_command_are_paths_in_its_folder(string folder, string run, string path, bool expected)
    {
        var command = new CommandDefinition(run.Split('|'), null, folder, new Dictionary<string, string>());
        var component = new ComponentDefinition("api", ["api/**"], [], 1, [], [], command, null, null);

        Assert.That(NamedPaths.Of(component).Matches(path), Is.EqualTo(expected));
    }
}
