using System.Text;
using System.Xml.Linq;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Tests;

/// <summary>
/// The settings that we ship: their words are known ones, their form is a server's, their chains are what the design says.
/// </summary>
public sealed class Our_settings
{
    private static readonly string[] Steps = ["UnitTest", "ImageBuild", "ReserveTestbed", "IntegrationDeploy"];
    private static readonly SettingsTree Tree = SettingsTree.Load(The_checker_of_settings.OurSettings);

    private static IEnumerable<string> Files =>
        Directory
            .GetFiles(Path.Combine(The_checker_of_settings.OurSettings, ".teamcity"), "*.xml", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(The_checker_of_settings.OurSettings, file));

    private static IEnumerable<BuildConfiguration> Builds =>
        Tree.Builds.Values.Where(build => !build.IsTemplate).Select(build => Inheritance.Effective(Tree, build));

    private static IEnumerable<BuildConfiguration> Chains => Builds.Where(build => build.Id != "CiSteps_PoolUpkeep");

    [Test]
    public void Use_no_word_that_servers_are_not_known_to_write()
    {
        Assert.That(SettingsCheck.Run(Tree, strict: true), Is.Empty);
        // Every type of ours is one whose parameters are known.
        var types = Tree.Builds.Values.SelectMany(
            build => build.Runners.Select(runner => runner.Type)
                .Concat(build.Triggers.Select(trigger => trigger.Type))
                .Concat(build.Extensions.Select(extension => extension.Type)))
            .Concat(Tree.Projects.Values.SelectMany(project => project.Extensions).Select(extension => extension.Type))
                .Concat(Tree.VcsRoots.Values.Select(root => root.Type))
                .Concat(Tree.Recipes.Values.SelectMany(recipe => recipe.Runners).Select(runner => runner.Type));
        Assert.That(types.Distinct().Where(type => !Vocabulary.Parameters.ContainsKey(type)), Is.Empty);
    }

    [TestCaseSource(nameof(Files))]
    public void Have_the_form_that_a_server_writes(string file)
    {
        var text = File.ReadAllText(Path.Combine(The_checker_of_settings.OurSettings, file));
        var root = XDocument.Parse(text, LoadOptions.None).Root!;
        Assert.That(text, Is.EqualTo(Written(root)), "indent, escapes, CDATA, line ends, last blank line");
        Assert.That(text[0], Is.EqualTo('<'), "no byte order mark");
        var isRecipe = root.Name == "meta-runner";
        Assert.That(
            root
                .DescendantsAndSelf()
                .Where(
                    element => !element.HasElements
                        && !element.HasAttributes
                        && element.Value.Length == 0
                        && element.Name != "description"
                        && element != root
                        && !(isRecipe && element.Name == "requirements")),
            Is.Empty,
            "empty elements are left out");
        if (!isRecipe)
            foreach (var group in root.Descendants()
                .Where(element => element.Name.LocalName is "parameters" or "options")
                .Append(root)
                .Select(
                    element => element.Elements()
                        .Where(child => child.Name.LocalName is "param" or "option")
                        .Select(child => (string)child.Attribute("name")!)
                        .ToList()))
                Assert.That(group, Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal), "parameters by name");
        if (root.Attribute("uuid") is { } uuid)
            Assert.That(Guid.TryParseExact(uuid.Value, "D", out _) && !uuid.Value.Any(char.IsAsciiLetterUpper), uuid.Value);
    }

    [Test]
    public void Filter_branches_on_every_configuration() =>
        Assert.That(Chains.Where(build => build["branchFilter"] is not { Length: > 0 }), Is.Empty);

    [Test]
    public void Share_one_build_number_per_chain()
    {
        foreach (var build in Chains.Where(build => !build.Id.EndsWith("_UnitTest", StringComparison.Ordinal)))
            Assert.That(build["buildNumberPattern"], Is.EqualTo($"%dep.{build.ProjectId}_UnitTest.build.number%"), build.Id);
    }

    [Test]
    public void Allow_reuse_nowhere_and_stop_at_a_failure_but_in_the_end()
    {
        foreach (var build in Chains)
            foreach (var dependency in build.SnapshotDependencies)
            {
                var isEnd = build.Id.EndsWith("_Result", StringComparison.Ordinal);
                Assert.That(dependency["take-started-build-with-same-revisions"], Is.Null, build.Id);
                Assert.That(
                    (dependency["run-build-if-dependency-failed"], dependency["run-build-if-dependency-failed-to-start"]),
                    Is.EqualTo(isEnd ? ("RUN_ADD_PROBLEM", "RUN_ADD_PROBLEM") : ((string?)null, (string?)null)),
                    build.Id);
            }
        foreach (var end in Chains.Where(build => build.Id.EndsWith("_Result", StringComparison.Ordinal)))
            Assert.That(
                end.SnapshotDependencies.Select(dependency => dependency.SourceId),
                Is.EquivalentTo(Chains
                    .Where(build => build.ProjectId == end.ProjectId && build.Id != end.Id)
                    .Select(build => build.Id)));
    }

    [Test]
    public void Take_the_evidence_of_every_step_before_from_the_same_chain()
    {
        var effective = new EffectiveTree(Tree);
        foreach (var build in Chains)
        {
            Assert.That(
                build.ArtifactDependencies.Select(dependency => dependency.SourceId),
                Is.EquivalentTo(effective.Upstream(build)),
                build.Id);
            Assert.That(
                build.ArtifactDependencies.All(
                    dependency => dependency is { RevisionRule: "sameChainOrLastFinished", CleanDestination: true }),
                build.Id);
        }
    }

    [Test]
    public void Limit_time_and_number_and_publish_what_each_step_states()
    {
        Assert.That(Builds.Where(build => build["executionTimeoutMin"] is null or "0"), Is.Empty, "time-outs");
        foreach (var name in new[] { "CiSteps_Release_Certify", "CiSteps_Release_Promote", "CiSteps_Branch_Merge" })
            Assert.That(
                Tree.Builds.ContainsKey(name) ? Inheritance.Effective(Tree, name)["maximumNumberOfBuilds"] : null,
                Is.EqualTo("1"),
                name);
        foreach (var project in new[] { "Branch", "Release" })
            Assert.That(
                Inheritance.Effective(Tree, $"CiSteps_{project}_ReserveTestbed")["maximumNumberOfBuilds"], Is.EqualTo("2"));
        Assert.That(
            Chains.Where(
                build => build["artifactRules"] is not { } rules
                    || !rules.Contains(".ci-steps/evidence/", StringComparison.Ordinal)),
            Is.Empty,
            "artifact rules");
        Assert.That(Builds.Where(build => build.Requirements.Count == 0), Is.Empty, "agent requirements");
        foreach (var step in Steps)
            Assert.That(
                Tree.Builds[$"CiSteps_Branch_{step}"].Templates,
                Is.EqualTo(Tree.Builds[$"CiSteps_Release_{step}"].Templates),
                "one template per step");
    }

    [Test]
    public void Have_promote_as_a_deployment_whose_approval_is_off_until_configured_like_all_that_speaks_to_people()
    {
        Assert.That(Inheritance.Effective(Tree, "CiSteps_Release_Promote")["buildConfigurationType"], Is.EqualTo("DEPLOYMENT"));
        Assert.That(Builds.SelectMany(build => build.Extensions), Is.Empty, "nothing is on");
        Assert.That(
            Tree.Builds.Values
                .SelectMany(build => build.Extensions)
                .Select(extension => $"{extension.Type} {extension.Parameters["notifier"]}".Trim()),
            Is.EquivalentTo(
                new[] { "approval-feature", "commit-status-publisher", "notifications email", "notifications jbSlackNotifier" }));
    }

    [Test]
    public void Type_every_parameter_and_hold_no_secret()
    {
        var parameters = Tree.Projects.Values.SelectMany(project => project.Parameters.All)
            .Concat(Tree.Builds.Values.SelectMany(build => build.Parameters.All))
            .Concat(Tree.Recipes.Values.SelectMany(recipe => recipe.Parameters.All))
            .ToList();
        Assert.That(parameters.Where(parameter => parameter.Spec is null).Select(parameter => parameter.Name), Is.Empty);
        Assert.That(
            parameters
                .Where(
                    parameter => ParameterSpec.Parse(parameter.Spec!)!.Attributes is var attributes
                        && !(attributes.ContainsKey("label") && attributes.ContainsKey("description")))
                .Select(parameter => parameter.Name),
            Is.Empty,
            "label and description");
        Assert.That(parameters.Where(parameter => parameter.IsPassword && parameter.Value.Length > 0), Is.Empty);
    }

    private static string Written(XElement root)
    {
        var text = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        Write(text, root, 0);
        return text.Append('\n').ToString();
    }

    private static void Write(StringBuilder text, XElement element, int depth)
    {
        text.Append(' ', 2 * depth).Append('<').Append(element.Name.LocalName);
        foreach (var attribute in element.Attributes())
            text.Append(' ')
                .Append(
                    attribute.IsNamespaceDeclaration
                        ? "xmlns:xsi"
                        : attribute.Name.NamespaceName.Length > 0 ? "xsi:" + attribute.Name.LocalName : attribute.Name.LocalName)
                .Append("=\"")
                    .Append(Escaped(attribute.Value)
                        .Replace("\"", "&quot;", StringComparison.Ordinal)
                        .Replace("\n", "&#xA;", StringComparison.Ordinal))
                    .Append('"');
        if (element.HasElements)
        {
            text.Append(">\n");
            foreach (var child in element.Elements()) Write(text, child, depth + 1);
            text.Append(' ', 2 * depth).Append("</").Append(element.Name.LocalName).Append(">\n");
        }
        else if (element.Value.Length == 0) text.Append(" />\n");
        else if (element.Name.LocalName == "param") text.Append("><![CDATA[").Append(element.Value).Append("]]></param>\n");
        else text.Append('>').Append(Escaped(element.Value)).Append("</").Append(element.Name.LocalName).Append(">\n");
    }

    private static string Escaped(string value) =>
        value.Replace("&", "&amp;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal);
}
