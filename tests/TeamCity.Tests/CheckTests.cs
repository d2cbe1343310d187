using CiSteps.Fixtures;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Tests;

public sealed class The_checker_of_settings
{
    internal static string OurSettings
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !Directory.Exists(Path.Combine(folder.FullName, "teamcity-settings")))
                folder = folder.Parent;
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
            Is.EqualTo(
                new[] {
                    "unit-test", "image-build", "reserve-testbed", "integration-deploy", "certify", "promote", "release-result"
                }));
        Assert.That(
            () => ChainPlanner.ByHand(tree, "CiSteps_Release_Promote", "ci/x"),
            Throws.InstanceOf<Hosting.UsageException>().With.Message.Contains("branch filter"));
    }

    [Test]
    public void Sees_a_recipe_for_each_step_with_the_same_command_as_the_template()
    {
        var tree = SettingsTree.Load(OurSettings);
        foreach (var template in tree.Builds.Values.Where(build => build.IsTemplate))
        {
            var step = StepCalls.Of(template.Runners.Single(), ParameterSet.Empty).Single().Step;
            Assert.That(
                tree.Recipes.Values.Count(
                    recipe => StepCalls.Of(recipe.Runners.Single(), ParameterSet.Empty).Single().Step == step),
                Is.EqualTo(1),
                step);
        }
    }

    private const string Where =
        "<parameters><param name=\"where\" value=\"\" /></parameters><build-runners><runner name=\"r\" " +
        "type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%where%/promote\" " +
        "/></parameters></runner></build-runners>";
    private const string Fine = "    <build-runners>\n    </build-runners>\n";

    [TestCase("circle", "<dependencies><depend-on sourceBuildTypeId=\"Toy_A\" /></dependencies>")]
    [TestCase("dependency", "<dependencies><depend-on sourceBuildTypeId=\"Toy_Gone\" /></dependencies>")]
    [TestCase(
        "dependency",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_Gone\"><revisionRule name=\"lastFinished\" " +
        "revision=\"latest.lastFinished\" /><artifact sourcePath=\"a\" /></dependency></artifact-dependencies>")]
    [TestCase(
        "same-chain",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><revisionRule " +
        "name=\"sameChainOrLastFinished\" revision=\"latest.sameChainOrLastFinished\" /><artifact sourcePath=\"a\" " +
        "/></dependency></artifact-dependencies>")]
    [TestCase("vcs-root", "<vcs-settings><vcs-entry-ref root-id=\"Toy_Gone\" /></vcs-settings>")]
    [TestCase(
        "trigger",
        "<build-triggers><build-trigger id=\"T\" type=\"buildDependencyTrigger\"><parameters><param name=\"dependsOn\" " +
        "value=\"Toy_Gone\" /></parameters></build-trigger></build-triggers>")]
    [TestCase("option", "<options><option name=\"checkoutMode\" value=\"SOMEHOW\" /></options>")]
    [TestCase("option", "<options><option name=\"noSuchOption\" value=\"1\" /></options>")]
    [TestCase(
        "option",
        "<dependencies><depend-on sourceBuildTypeId=\"Toy_B\"><options><option name=\"run-build-if-dependency-failed\" " +
        "value=\"FAIL_TO_START\" /></options></depend-on></dependencies>")]
    [TestCase("branch-filter", "<options><option name=\"branchFilter\" value=\"+ci/*\" /></options>")]
    [TestCase("branch-filter", "<options><option name=\"branchFilter\" value=\"+:refs/heads/x\" /></options>")]
    [TestCase(
        "composite",
        "<options><option name=\"buildConfigurationType\" value=\"COMPOSITE\" /></options><build-runners><runner id=\"R\" " +
        "name=\"r\" type=\"x\"><parameters /></runner></build-runners>")]
    [TestCase(
        "clear-secret", "<parameters><param name=\"p\" value=\"hunter2\" spec=\"password display='normal'\" /></parameters>")]
    [TestCase(
        "clear-secret",
        "<build-extensions><extension id=\"E\" type=\"x\"><parameters><param name=\"secure:token\" value=\"hunter2\" " +
        "/></parameters></extension></build-extensions>")]
    [TestCase("dep-reference", "<parameters><param name=\"p\" value=\"%dep.Toy_B.build.number%\" /></parameters>")]
    [TestCase("reverse-dep", "<parameters><param name=\"reverse.dep.Toy_B.x\" value=\"1\" /></parameters>")]
    [TestCase(
        "element-order",
        "<parameters><param name=\"p\" value=\"1\" /></parameters><options><option name=\"artifactRules\" value=\"a\" " +
        "/></options>")]
    [TestCase("element", "<snapshot-dependencies />")]
    [TestCase(
        "duplicate-id",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters /></runner><runner id=\"R\" name=\"r\" " +
        "type=\"x\"><parameters /></runner></build-runners>")]
    [TestCase("condition", "<requirements><resembles id=\"RQ_1\" name=\"a\" value=\"b\" /></requirements>")]
    [TestCase("disabled-settings", "<disabled-settings><setting-ref ref=\"RUNNER_7\" /></disabled-settings>")]
    [TestCase(
        "tool",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" " +
        "value=\"/opt/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase(
        "release-on-branch",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" " +
        "value=\"%teamcity.tool.x%/promote\" /></parameters></runner></build-runners>")]
    [TestCase(
        "release-secret",
        "<parameters><param name=\"env.CISTEPS_SIGNING_KEY\" value=\"\" spec=\"password\" " +
        "/></parameters><build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param " +
        "name=\"command.executable\" value=\"%teamcity.tool.x%/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase(
        "release-secret",
        "<parameters><param name=\"env.CISTEPS_GIT_TOKEN\" value=\"\" spec=\"password\" /></parameters><build-runners><runner " +
        "id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" " +
        "value=\"%teamcity.tool.x%/unit-test\" /></parameters></runner></build-runners>")]
    [TestCase(
        "reuse",
        "<dependencies><depend-on sourceBuildTypeId=\"Toy_Merge\"><options><option " +
        "name=\"take-started-build-with-same-revisions\" value=\"true\" /></options></depend-on></dependencies>")]
    [TestCase("dependency", "<dependencies><depend-on sourceBuildTypeId=\"Toy_T\" /></dependencies>")]
    [TestCase("circle", "<dependencies><depend-on sourceBuildTypeId=\"Toy_Back\" /></dependencies>")]
    [TestCase("option", "<options><option name=\"executionTimeoutMin\" value=\"soon\" /></options>")]
    [TestCase("attribute", "<options><option name=\"artifactRules\" value=\"a\" kind=\"b\" /></options>")]
    [TestCase("attribute", "<build-runners><runner id=\"R\" name=\"r\"><parameters /></runner></build-runners>")]
    [TestCase(
        "element",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><artifact sourcePath=\"a\" " +
        "/></dependency></artifact-dependencies>",
        "revision-rule")]
    [TestCase(
        "element-order",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters /><conditions /></runner></build-runners>")]
    [TestCase("multi-line", "<parameters><param name=\"p\" value=\"one&#xA;two\" /></parameters>")]
    [TestCase(
        "revision-rule",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><revisionRule name=\"lastFinished\" " +
        "revision=\"latest.lastSuccessful\" /><artifact sourcePath=\"a\" /></dependency></artifact-dependencies>")]
    [TestCase(
        "revision-rule",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><revisionRule name=\"buildTag\" " +
        "revision=\"tag\" /><artifact sourcePath=\"a\" /></dependency></artifact-dependencies>")]
    [TestCase(
        "trigger",
        "<build-triggers><build-trigger id=\"T\" type=\"finishBuildTrigger\"><parameters /></build-trigger></build-triggers>")]
    [TestCase(
        "trigger",
        "<build-triggers><build-trigger id=\"T\" type=\"buildDependencyTrigger\"><parameters " +
        "/></build-trigger></build-triggers>")]
    [TestCase(
        "trigger", "<build-triggers><build-trigger id=\"T\" type=\"vcsTrigger\"><parameters /></build-trigger></build-triggers>")]
    [TestCase(
        "value",
        "<build-triggers><build-trigger id=\"T\" type=\"vcsTrigger\"><parameters><param name=\"quietPeriodMode\" " +
        "value=\"LONG\" /></parameters></build-trigger></build-triggers>",
        "trigger")]
    [TestCase(
        "step-mode",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters><param name=\"teamcity.step.mode\" value=\"always\" " +
        "/></parameters></runner></build-runners>")]
    [TestCase(
        "runner",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"use.custom.script\" " +
        "value=\"true\" /></parameters></runner></build-runners>")]
    [TestCase(
        "runner",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"script.content\" " +
        "value=\"date\" /></parameters></runner></build-runners>")]
    [TestCase(
        "recipe", "<build-runners><runner id=\"R\" name=\"r\" type=\"Toy_NoSuchRecipe\"><parameters /></runner></build-runners>")]
    [TestCase(
        "recipe", "<build-runners><runner id=\"R\" name=\"r\" type=\"Away_Recipe\"><parameters /></runner></build-runners>")]
    [TestCase("spec", "<parameters><param name=\"p\" value=\"\" spec=\"text label='It's'\" /></parameters>")]
    [TestCase("spec", "<parameters><param name=\"p\" value=\"\" spec=\"number label='n'\" /></parameters>")]
    [TestCase("spec", "<parameters><param name=\"p\" value=\"\" spec=\"text lable='n'\" /></parameters>")]
    [TestCase("spec", "<parameters><param name=\"p\" value=\"c\" spec=\"select data_1='a' data_2='b'\" /></parameters>")]
    [TestCase("parameter-name", "<parameters><param name=\"1p\" value=\"\" /></parameters>")]
    [TestCase("parameter-circle", "<parameters><param name=\"p\" value=\"%p%\" /></parameters>")]
    [TestCase("reference", "<parameters><param name=\"p\" value=\"%nobody.defines.this%\" /></parameters>")]
    [TestCase(
        "reference",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters><param name=\"a\" value=\"100%done%\" " +
        "/></parameters></runner></build-runners>")]
    [TestCase("clear-secret", "<parameters><param name=\"env.GIT_TOKEN\" value=\"hunter2\" /></parameters>")]
    [TestCase("clear-secret", "<parameters><param name=\"p\" value=\"https://robot:hunter2@git.example/x\" /></parameters>")]
    [TestCase(
        "chain-trigger",
        "<build-triggers><build-trigger id=\"T1\" type=\"vcsTrigger\"><parameters /></build-trigger><build-trigger id=\"T2\" " +
        "type=\"vcsTrigger\"><parameters /></build-trigger></build-triggers><dependencies><depend-on " +
        "sourceBuildTypeId=\"Toy_B\" /></dependencies>",
        "trigger")]
    [TestCase(
        "same-chain",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_B\"><revisionRule " +
        "name=\"sameChainOrLastFinished\" revision=\"latest.sameChainOrLastFinished\" /><artifact sourcePath=\"a\" " +
        "/></dependency></artifact-dependencies><dependencies><depend-on sourceBuildTypeId=\"Toy_Merge\" /></dependencies>",
        "chain-trigger")]
    [TestCase(
        "tool",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"Toy_Recipe\"><parameters><param name=\"where\" value=\"/opt\" " +
        "/></parameters></runner></build-runners>")]
    [TestCase(
        "release-on-branch",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"Toy_Recipe\"><parameters><param name=\"where\" " +
        "value=\"%teamcity.tool.x%\" /></parameters></runner></build-runners>")]
    [TestCase(
        "release-on-branch",
        "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"script.content\" " +
        "value=\"%teamcity.tool.x%/certify --help\" /><param name=\"use.custom.script\" value=\"true\" " +
        "/></parameters></runner></build-runners>")]
    [TestCase(
        "release-on-branch",
        "<artifact-dependencies><dependency id=\"A\" sourceBuildTypeId=\"Toy_Release\"><revisionRule name=\"lastFinished\" " +
        "revision=\"latest.lastFinished\" /><artifact sourcePath=\"a\" " +
        "/></dependency></artifact-dependencies><build-runners><runner id=\"R\" name=\"r\" " +
        "type=\"simpleRunner\"><parameters><param name=\"command.executable\" value=\"%teamcity.tool.x%/unit-test\" " +
        "/></parameters></runner></build-runners>",
        "element-order")]
    public void Finds(string rule, string settings, string? also = null)
    {
        using var toy = new ToyTree()
            .Root("x")
            .Build("Toy_A", settings)
            .Build("Toy_B", Fine)
            .Template("Toy_T", Fine)
            .Template("Toy_BackT", "<dependencies><depend-on sourceBuildTypeId=\"Toy_A\" /></dependencies>")
            .Build("Toy_Back", Fine, "Toy_BackT")
                .Project("Away")
                .Build("Toy_Release", "<options><option name=\"branchFilter\" value=\"+:&lt;default&gt;\" /></options>")
            .Recipe("Toy_Recipe", Where, "Toy").Recipe("Away_Recipe", Where, "Away")
            .Build("Toy_Merge",
                "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param " +
                "name=\"command.executable\" value=\"%teamcity.tool.x%/merge\" /></parameters></runner></build-runners>");
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder))
            .Where(
                finding => finding.At.File is "Toy/buildTypes/Toy_A.xml"
                    || (rule == "tool" && finding.At.File == "Toy/pluginData/metaRunners/Toy_Recipe.xml")
                || (rule == "circle" && finding.Rule == rule)).ToList();
        // Toy_A depends on nothing or nothing starts it: that is a finding of its own, and wanted only where it is asked for.
        findings.RemoveAll(
            finding => finding.Rule == "chain-trigger" && rule != "chain-trigger"
                || finding.Rule == also
                || (rule == "tool" && finding.Rule == "release-on-branch"));
        Assert.That(findings.Select(finding => finding.Rule).Distinct(), Is.EqualTo(new[] { rule }));
        Assert.That(findings[0].At.Line, Is.GreaterThan(1));
    }

    // The template or the build configuration between may say it, where it stands elsewhere on the server.
    [TestCase("", null, true)]
    [TestCase("", "Away_T", false)]
    [TestCase("<dependencies><depend-on sourceBuildTypeId=\"Away_B\" /></dependencies>", null, false)]
    [TestCase("<dependencies><depend-on sourceBuildTypeId=\"Toy_C\" /></dependencies>", null, false)]
    public void Is_sure_of_a_missing_dependency_only_where_it_sees_all(string dependencies, string? template, bool isError)
    {
        using var toy = new ToyTree()
            .Build(
                "Toy_A",
                "<parameters><param name=\"p\" value=\"%dep.Toy_B.build.number%\" /></parameters>" + dependencies,
                template)
            .Build("Toy_B", Fine)
            .Build("Toy_C", Fine, "Away_T");
        var found = SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Where(finding => finding.Rule == "dep-reference");
        Assert.That(found.Select(finding => finding.Severity), Is.EqualTo(new[] { isError ? Severity.Error : Severity.Warning }));
    }

    // Written by servers, and right.
    [TestCase(
        "<vcs-settings><vcs-entry-ref root-id=\"Toy_Whole\" /></vcs-settings><build-triggers><build-trigger id=\"T\" " +
        "type=\"vcsTrigger\"><parameters><param name=\"branchFilter\"><![CDATA[+:*\n-pr:*\n+pr: " +
        "draft=false github_role=MEMBER]]></param></parameters></build-trigger></build-triggers>")]
    [TestCase(
        "<build-triggers><build-trigger id=\"T\" type=\"vcsTrigger\"><parameters><param name=\"watchChangesInDependencies\" " +
        "value=\"true\" /></parameters></build-trigger></build-triggers><dependencies><depend-on sourceBuildTypeId=\"Toy_B\" " +
        "/></dependencies>")]
    [TestCase("<parameters><param name=\"env.PATH\" value=\"%env.PATH%:/opt/tool\" /></parameters>")]
    [TestCase(
        "<options><option name=\"branchFilter\" value=\"+:refs/heads/develop\" /></options><vcs-settings><vcs-entry-ref " +
        "root-id=\"Toy_Whole\" /></vcs-settings>")]
    [TestCase(
        "<options><option name=\"branchFilter\" value=\"+:refs/heads/develop\" /></options><parameters><param " +
        "name=\"branches\" value=\"+:*\" /></parameters><vcs-settings><vcs-entry-ref root-id=\"Toy_Given\" /></vcs-settings>")]
    public void Says_nothing_about(string settings)
    {
        using var toy = new ToyTree()
            .Root("x", "Toy_Whole", "+:refs/heads/develop")
            .Root("x", "Toy_Given", "%branches%")
            .Build("Toy_A", settings)
            .Build("Toy_B", "<vcs-settings><vcs-entry-ref root-id=\"Toy_Whole\" /></vcs-settings>");
        Assert.That(SettingsCheck.Run(SettingsReader.Read(toy.Folder)), Is.Empty);
    }

    [TestCase("Toy_Gone", true)]
    [TestCase("Toy_Gone_2", true)]
    [TestCase("Toy_Sub_Gone", false, Description = "a subproject may keep its settings elsewhere")]
    [TestCase("Other_Gone", false)]
    public void Is_sure_of_a_missing_id_only_where_its_project_is_here(string id, bool isError)
    {
        using var toy = new ToyTree().Build("Toy_A", $"<vcs-settings><vcs-entry-ref root-id=\"{id}\" /></vcs-settings>");
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => (finding.Rule, finding.Severity)),
            Is.EqualTo(new[] { ("vcs-root", isError ? Severity.Error : Severity.Warning) }));
    }

    [Test]
    public void Takes_an_empty_uuid_for_a_missing_one()
    {
        using var toy = new ToyTree();
        toy.Write(
            "Toy/project-config.xml",
            File
                .ReadAllText(Path.Combine(toy.Folder, ".teamcity/Toy/project-config.xml"))
                .Split('\n', 2)[1].Replace(toy.Load().Projects["Toy"].Uuid!, "", StringComparison.Ordinal));
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => (finding.Rule, finding.Severity)),
            Is.EqualTo(new[] { ("uuid", Severity.Warning) }));
    }

    [Test]
    public void Does_not_miss_a_trigger_that_may_stand_elsewhere()
    {
        using var toy = new ToyTree()
            .Build("Toy_A", Fine)
            .Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A")), "Elsewhere_T")
            .Build("Toy_C", ToyTree.Dependencies(ToyTree.After("Toy_A")));
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder))
                .Where(finding => finding.Rule == "chain-trigger")
                .Select(finding => finding.At.File),
            Is.EqualTo(new[] { "Toy/buildTypes/Toy_C.xml" }));
    }

    [Test]
    public void Finds_chains_that_nothing_or_too_much_starts()
    {
        using var toy = new ToyTree()
            .Root("x")
            .Root("y", "Toy_Other")
            .Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger())
            .Build("Toy_B", ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_C", Fine).Build("Toy_D", ToyTree.Dependencies(ToyTree.After("Toy_C")))
            .Build("Toy_E", "    <vcs-settings><vcs-entry-ref root-id=\"Toy_Other\" /></vcs-settings>")
                .Build("Toy_F", ToyTree.Vcs + ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_E")));
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder))
            .Where(finding => finding.Rule == "chain-trigger")
            .Select(finding => finding.At.File[^5..^4]);
        Assert.That(findings, Is.EqualTo(new[] { "A", "D", "F" }));
    }

    [Test]
    public void Finds_a_trigger_that_stands_in_the_middle_of_its_chain()
    {
        using var toy = new ToyTree()
            .Root("x")
            .Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger())
            .Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A")));
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => $"{finding.At.File} {finding.Rule}"),
            Is.EqualTo(new[] { "Toy/buildTypes/Toy_A.xml chain-trigger" }));
    }

    [Test]
    public void Takes_what_templates_add_into_account()
    {
        using var toy = new ToyTree();
        toy
            .Template("Toy_T", "<options><option name=\"buildConfigurationType\" value=\"COMPOSITE\" /></options>")
            .Build(
                "Toy_A",
                "<build-runners><runner id=\"R\" name=\"r\" type=\"x\"><parameters /></runner></build-runners>",
                "Toy_T");
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => finding.Rule),
            Is.EqualTo(new[] { "composite" }));
    }

    [Test]
    public void Finds_a_secret_that_both_sides_can_read_and_not_one_of_one_side()
    {
        using var toy = new ToyTree();
        toy.Project("Toy", null, "<parameters><param name=\"env.BOTH\" value=\"\" spec=\"password\" /></parameters>")
            .Project("Toy_Release", "Toy", "<parameters><param name=\"env.ONE\" value=\"\" spec=\"password\" /></parameters>")
            .Build("Toy_A",
                "<build-runners><runner id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param " +
                "name=\"command.executable\" value=\"%teamcity.tool.x%/unit-test\" /></parameters></runner></build-runners>")
            .Build(
                "Toy_P",
                "<options><option name=\"branchFilter\" value=\"+:&lt;default&gt;\" /></options><build-runners><runner " +
                "id=\"R\" name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" " +
                "value=\"%teamcity.tool.x%/promote\" /></parameters></runner></build-runners>",
                project: "Toy_Release");
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder));
        Assert.That(
            findings.Select(finding => $"{finding.Rule} {finding.At.File}"),
            Is.EqualTo(new[] { "shared-secret Toy/project-config.xml" }));
        Assert.That(findings[0].Message, Does.Contain("env.BOTH"));
    }

    [Test]
    public void Reads_what_older_servers_wrote_without_a_false_finding()
    {
        using var toy = new ToyTree();
        const string old =
            "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" " +
            "xsi:noNamespaceSchemaLocation=\"http://www.jetbrains.com/teamcity/schemas/9.0/project-config.xsd\"";
        toy.Write(
            "Toy/buildTypes/Toy_T.xml",
            $"<template {old} uuid=\"5fb2cf5c-5b4a-4f0d-8d0a-1d6e4b1f0001\">\n  <name>T</name>\n  <description />\n  " +
            "<settings>\n    <parameters />\n    <build-runners>\n      <runner id=\"RUNNER_1\" name=\"\" " +
            "type=\"plugin.nobody.knows\">\n        <parameters>\n          <param name=\"any\" value=\"thing\" />\n        " +
            "</parameters>\n      </runner>\n    </build-runners>\n" +
                "    <vcs-settings checkout-mode=\"ON_SERVER\" labeling-type=\"NONE\" labeling-pattern=\"\" />\n    " +
                "<requirements />\n    <build-triggers />\n    <artifact-dependencies>\n      <dependency " +
                "sourceBuildTypeId=\"Toy_B\" cleanDestination=\"false\">\n        <revisionRule name=\"lastSuccessful\" " +
                "revision=\"latest.lastSuccessful\" />\n        <artifact sourcePath=\"a\" />\n      </dependency>\n    " +
                "</artifact-dependencies>\n    <cleanup>\n      <options>\n        <option " +
                "name=\"preventDependenciesArtifactsFromCleanup\" value=\"false\" />\n      </options>\n      <policy " +
                "type=\"x\" cleanup-level=\"ARTIFACTS\">\n        <parameters />\n      </policy>\n    </cleanup>\n  " +
                "</settings>\n</template>")
            .Write("Toy/buildTypes/Toy_A.xml",
                $"<build-type {old} uuid=\"5fb2cf5c-5b4a-4f0d-8d0a-1d6e4b1f0002\" paused=\"true\">\n  <name>A</name>\n  " +
                "<description />\n  <settings ref=\"Toy_T\">\n    <disabled-settings>\n      <setting-ref " +
                "ref=\"ARTIFACT_DEPENDENCY_47\" />\n      <setting-ref ref=\"RQ_3\" />\n    </disabled-settings>\n    " +
                "<build-runners order=\"RUNNER_1\" />\n    <dependencies>\n      <depend-on sourceBuildTypeId=\"Toy_B\" />\n   " +
                " </dependencies>\n  </settings>\n</build-type>")
            .Build("Toy_B", "").Root("x", "Toy_" + new string('x', 100));
        Assert.That(SettingsCheck.Run(SettingsReader.Read(toy.Folder)), Is.Empty);
    }

    [Test]
    public void Finds_faults_of_roots_projects_and_files()
    {
        using var toy = new ToyTree()
            .Root("x", "Toy_Root", "ci/(*\n+:refs/heads/*/x/*\n-x")
            .Project("Toy_Sub", "Toy_Gone")
            .Project("Other", "Elsewhere")
            .Build("Toy_1-2", Fine)
            .Write("project-config.xml", "<project />")
            .Project("Round", "Again")
                .Project("Again", "Round")
                .Project("Ordered", null, "<buildTypesOrder order=\"Ordered_Gone\" />")
                .Project("Templated", null, "<default-template ref=\"Toy_B\" />")
                .Build("Toy_B", Fine)
            .Write(
                "Toy/vcsRoots/Toy_Odd.xml",
                "<vcs-root uuid=\"x\" type=\"jetbrains.git\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" " +
                "xsi:noNamespaceSchemaLocation=\"https://example.com/my.xsd\">\n  <name>odd</name>\n  <param " +
                "name=\"authMethod\" value=\"MAGIC\" />\n  <param name=\"branchSpec\" value=\"\" />\n</vcs-root>");
        var findings = SettingsCheck.Run(SettingsReader.Read(toy.Folder));
        Assert.That(
            findings.Select(finding => $"{finding.Severity} {finding.Rule}").Distinct(),
            Is.EquivalentTo(
                new[] {
                    "Error branch-spec", "Error parent-id", "Warning parent-id", "Error id-form", "Error project-file",
                    "Warning order", "Error template", "Error uuid", "Warning schema", "Warning value"
                }));
    }

    [Test]
    public void Wants_current_settings_where_there_are_release_secrets()
    {
        using var toy = new ToyTree();
        toy.Project("Toy", null,
            "<project-extensions><extension id=\"PROJECT_EXT_1\" type=\"versionedSettings\"><parameters><param " +
            "name=\"buildSettings\" value=\"PREFER_VCS\" /><param name=\"enabled\" value=\"true\" " +
            "/></parameters></extension></project-extensions>");
        toy.Build("Toy_A",
            "<options><option name=\"branchFilter\" value=\"+:&lt;default&gt;\" /></options><build-runners><runner id=\"R\" " +
            "name=\"r\" type=\"simpleRunner\"><parameters><param name=\"command.executable\" " +
            "value=\"%teamcity.tool.x%/promote\" /></parameters></runner></build-runners>");
        Assert.That(
            SettingsCheck.Run(SettingsReader.Read(toy.Folder)).Select(finding => finding.Rule),
            Is.EqualTo(new[] { "settings-from-branch" }));
    }
}
