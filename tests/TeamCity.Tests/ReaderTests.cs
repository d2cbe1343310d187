using CiSteps.Fixtures;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Tests;

public sealed class The_reader_of_settings
{
    [Test]
    public void Merges_templates_as_the_server_does()
    {
        using var toy = new ToyTree().Root("x");
        toy.Template(
            "Toy_T",
            "    <options><option name=\"executionTimeoutMin\" value=\"5\" />" +
            "<option name=\"artifactRules\" value=\"a\" /></options>\n" +
            ToyTree.Runners(
                ToyTree.Script("one", "RUNNER_1"), ToyTree.Script("two", "RUNNER_2"), ToyTree.Script("three", "RUNNER_3")) +
            ToyTree.Vcs +
            ToyTree.Trigger());
        toy.Build("Toy_B", "    <options><option name=\"artifactRules\" value=\"b\" /></options>\n" +
            "    <disabled-settings><setting-ref ref=\"RUNNER_3\" /><setting-ref ref=\"vcsTrigger\" /></disabled-settings>\n" +
            "    <build-runners order=\"RUNNER_2, RUNNER_4, RUNNER_1\">\n" +
                ToyTree.Script("own", "RUNNER_1") +
                ToyTree.Script("four", "RUNNER_4") +
                "    </build-runners>\n", "Toy_T");
        var build = Inheritance.Effective(toy.Load(), "Toy_B");
        Assert.That(build["executionTimeoutMin"], Is.EqualTo("5"));
        Assert.That(build["artifactRules"], Is.EqualTo("b"));
        Assert.That(
            build.Runners.Select(runner => $"{runner.Id} {runner.Parameters["script.content"]}"),
            Is.EqualTo(new[] { "RUNNER_2 two", "RUNNER_4 four", "RUNNER_1 own" }));
        Assert.That(build.Triggers, Is.Empty);
        Assert.That(build.VcsEntries.Single().RootId, Is.EqualTo("Toy_Root"));
    }

    [Test]
    public void Reads_multi_line_values_from_either_form()
    {
        using var toy = new ToyTree();
        toy.Build("Toy_B",
            "    <options><option name=\"artifactRules\" value=\"a =&gt; b&#xA;c\" /></options>\n    <parameters><param " +
            "name=\"p\"><![CDATA[one\ntwo]]></param></parameters>\n");
        var build = toy.Load().Builds["Toy_B"];
        Assert.That(build["artifactRules"], Is.EqualTo("a => b\nc"));
        Assert.That(build.Parameters["p"], Is.EqualTo("one\ntwo"));
    }

    [Test]
    public void Says_file_and_line_of_what_is_broken_and_reads_on()
    {
        using var toy = new ToyTree();
        toy.Write("Toy/buildTypes/Toy_Bad.xml", "<build-type>\n  <name>x</nam>\n</build-type>")
            .Write("Toy/buildTypes/Toy_Odd.xml", "<project/>")
            .Build("Toy_Good", "");
        var tree = SettingsReader.Read(toy.Folder);
        Assert.That(tree.Builds.Keys, Is.EqualTo(new[] { "Toy_Good" }));
        Assert.That(
            tree.Findings.Select(finding => $"{finding.At} {finding.Rule}"),
            Is.EquivalentTo(new[] { "Toy/buildTypes/Toy_Bad.xml:3 xml", "Toy/buildTypes/Toy_Odd.xml:2 root-element" }));
        Assert.That(
            () => SettingsTree.Load(toy.Folder),
            Throws.InstanceOf<CiSteps.Hosting.UsageException>().With.Message.Contains("Toy_Bad.xml:3"));
    }

    [Test]
    public void Refuses_a_folder_without_settings()
    {
        using var toy = new ToyTree();
        Assert.That(
            () => SettingsReader.Read(Path.Combine(toy.Folder, "nowhere")), Throws.InstanceOf<CiSteps.Hosting.UsageException>());
        Assert.That(
            () => SettingsReader.Read(Directory.CreateDirectory(Path.Combine(toy.Folder, "empty")).FullName),
            Throws.InstanceOf<CiSteps.Hosting.UsageException>());
    }
}
