using CiSteps.RunChain.Chains;
using CiSteps.RunChain.Checking;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Tests;

public sealed class The_checker_of_settings
{
    private static string OurSettings
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !Directory.Exists(Path.Combine(folder.FullName, "teamcity-settings"))) folder = folder.Parent;
            return Path.Combine(folder!.FullName, "teamcity-settings");
        }
    }

    [Test]
    public void Finds_nothing_in_our_own_settings() => Assert.That(SettingsCheck.Run(SettingsReader.Read(OurSettings)), Is.Empty);

    [Test]
    public void Sees_both_chains_of_our_own_settings()
    {
        var tree = SettingsTree.Load(OurSettings);
        Assert.That(ChainPlanner.Triggered(tree, "ci/x").Builds.Select(build => build.Name),
            Is.EqualTo(new[] { "unit-test", "image-build", "reserve-testbed", "integration-deploy", "merge", "branch-result" }));
        Assert.That(ChainPlanner.Triggered(tree, "main").Builds.Select(build => build.Name),
            Is.EqualTo(new[] { "unit-test", "image-build", "reserve-testbed", "integration-deploy", "certify", "promote", "release-result" }));
        Assert.That(() => ChainPlanner.ByHand(tree, "CiSteps_Release_Promote", "ci/x"), Throws.InstanceOf<Hosting.UsageException>().With.Message.Contains("branch filter"));
    }

    [Test]
    public void Sees_a_recipe_for_each_step_with_the_same_command_as_the_template()
    {
        var tree = SettingsTree.Load(OurSettings);
        foreach (var template in tree.Builds.Values.Where(build => build.IsTemplate))
        {
            var step = ChainRules.CiStepsOf(template.Runners.Single())!;
            Assert.That(tree.Recipes.Values.Count(recipe => ChainRules.CiStepsOf(recipe.Runners.Single()) == step), Is.EqualTo(1), step);
        }
    }

    private const string Fine = "    <build-runners>\n    </build-runners>\n";

    [TestCase("circle", "<dependencies><depend-on sourceBuildTypeId=\"Toy_A\" /></dependencies>")]
    [TestCase("dependency", "<dependencies><depend-on sourceBuildTypeId=\"Toy_Gone\" /></dependencies>")]
    [TestCase("dependency", "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_Gone\"><revisionRule name=\"lastFinished\" revision=\"latest.lastFinished\" /><artifact sourcePath=\"a\" /></dependency></artifact-dependencies>")]
    [TestCase("same-chain", "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><revisionRule name=\"sameChainOrLastFinished\" revision=\"latest.sameChainOrLastFinished\" /><artifact sourcePath=\"a\" /></dependency></artifact-dependencies>")]
    [TestCase("vcs-root", "<vcs-settings><vcs-entry-ref root-id=\"Toy_Gone\" /></vcs-settings>")]
    [TestCase("trigger", "<build-triggers><build-trigger id=\"T\" type=\"buildDependencyTrigger\"><parameters><param name=\"dependsOn\" value=\"Toy_Gone\" /></parameters></build-trigger></build-triggers>")]
    [TestCase("option", "<options><option name=\"checkoutMode\" value=\"SOMEHOW\" /></options>")]
    [TestCase("option", "<options><option name=\"noSuchOption\" value=\"1\" /></options>")]
    [TestCase("option", "<dependencies><depend-on sourceBuildTypeId=\"Toy_B\"><options><option name=\"run-build-if-dependency-failed\" value=\"FAIL_TO_START\" /></options></depend-on></dependencies>")]
    [TestCase("branch-filter", "<options><option name=\"branchFilter\" value=\"+ci/*\" /></options>")]
    [TestCase("branch-filter", "<options><option name=\"branchFilter\" value=\"+:refs/heads/x\" /></options>")]
    [TestCase("composite", "<options><option name=\"buildConfigurationType\" value=\"COMPOSITE\" /></options><build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters /></runner></build-runners>")]
    [TestCase("clear-secret", "<parameters><param name=\"p\" value=\"hunter2\" spec=\"password display='normal'\" /></parameters>")]
    [TestCase("clear-secret", "<build-extensions><extension id=\"E\" type=\"x\"><parameters><param name=\"secure:token\" value=\"hunter2\" /></parameters></extension></build-extensions>")]
    [TestCase("dep-reference", "<parameters><param name=\"p\" value=\"%dep.Toy_B.build.number%\" /></parameters>")]
    [TestCase("reverse-dep", "<parameters><param name=\"reverse.dep.Toy_B.x\" value=\"1\" /></parameters>")]
    [TestCase("element-order", "<parameters><param name=\"p\" value=\"1\" /></parameters><options><option name=\"artifactRules\" value=\"a\" /></options>")]
    [TestCase("element", "<snapshot-dependencies />")]
    [TestCase("duplicate-id", "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters /></runner><runner id=\"R\" name=\"r\" type=\"x\"><parameters /></runner></build-runners>")]
    [TestCase("condition", "<requirements><resembles id=\"RQ_1\" name=\"a\" value=\"b\" /></requirements>")]
    [TestCase("disabled-settings", "<disabled-settings><setting-ref ref=\"RUNNER_7\" /></disabled-settings>")]
    [TestCase("tool", "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"/opt/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase("release-on-branch", "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/promote\" /></parameters></runner></build-runners>")]
    [TestCase("release-secret", "<parameters><param name=\"env.CISTEPS_SIGNING_KEY\" value=\"\" spec=\"password\" /></parameters><build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase("release-secret", "<parameters><param name=\"env.CISTEPS_GIT_TOKEN\" value=\"\" spec=\"password\" /></parameters><build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase("reuse", "<dependencies><depend-on sourceBuildTypeId=\"Toy_Merge\"><options><option name=\"take-started-build-with-same-revisions\" value=\"true\" /></options></depend-on></dependencies>")]
    public void Finds(string rule, string settings)
    {
        using var toy = new ToyTree().Root("x").Build("Toy_A", settings).Build("Toy_B", Fine)
            .Build("Toy_Merge", "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/merge\" /></parameters></runner></build-runners>");
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Where(finding => finding.At.File == "Toy/buildTypes/Toy_A.xml" && finding.Rule != "chain-trigger").ToList();
        Assert.That(findings.Select(finding => finding.Rule).Distinct(), Is.EqualTo(new[] { rule }));
        Assert.That(findings[0].At.Line, Is.GreaterThan(1));
    }

    [Test]
    public void Finds_chains_that_nothing_or_too_much_starts()
    {
        using var toy = new ToyTree().Root("x").Root("y", "Toy_Other").Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger()).Build("Toy_B", ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_C", Fine).Build("Toy_D", ToyTree.Dependencies(ToyTree.After("Toy_C")))
            .Build("Toy_E", "    <vcs-settings><vcs-entry-ref root-id=\"Toy_Other\" /></vcs-settings>").Build("Toy_F", ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_E")));
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Where(finding => finding.Rule == "chain-trigger").Select(finding => finding.At.File[^5..^4]);
        Assert.That(findings, Is.EqualTo(new[] { "A", "D", "F" }));
    }

    [Test]
    public void Finds_faults_of_roots_projects_and_files()
    {
        using var toy = new ToyTree().Root("x", "Toy_Root", "ci/(*\n+:refs/heads/*/x/*\n-x").Project("Toy_Sub", "Toy_Gone").Project("Other", "Elsewhere").Build("Toy_1-2", Fine).Write("project-config.xml", "<project />");
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder));
        Assert.That(findings.Select(finding => $"{finding.Severity} {finding.Rule}").Distinct(), Is.EquivalentTo(new[] { "Error branch-spec", "Error parent-id", "Warning parent-id", "Error id-form", "Error project-file" }));
    }

    [Test]
    public void Wants_current_settings_where_there_are_release_secrets()
    {
        using var toy = new ToyTree();
        toy.Project("Toy", null, "<project-extensions><extension id=\"PROJECT_EXT_1\" type=\"versionedSettings\"><parameters><param name=\"buildSettings\" value=\"PREFER_VCS\" /><param name=\"enabled\" value=\"true\" /></parameters></extension></project-extensions>");
        toy.Build("Toy_A", "<options><option name=\"branchFilter\" value=\"+:&lt;default&gt;\" /></options><build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/promote\" /></parameters></runner></build-runners>");
        Assert.That(SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => finding.Rule), Is.EqualTo(new[] { "settings-from-branch" }));
    }
}
