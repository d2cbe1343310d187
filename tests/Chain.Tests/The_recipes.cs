using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace CiSteps.Chain.Tests;

/// <summary>The shipped recipes beside what the published executables say of themselves (<c>--explain-options</c>).</summary>
internal sealed partial class The_recipes
{
    // What the build server tells or the project sets for all steps, and what is for a person at a laptop.
    private static readonly string[] Elsewhere =
    [
        "work-tree", "branch", "commit", "build-number", "who", "registry", "registry-pull", "target-branch", "pool-kubeconfig",
        "kubeconfig", "component", "keep", "give-back", "history", "roll-back", "to",
    ];

    [TestCase("unit-test", "UnitTest")]
    [TestCase("image-build", "ImageBuild")]
    [TestCase("reserve-testbed", "ReserveTestbed")]
    [TestCase("integration-deploy", "IntegrationDeploy")]
    [TestCase("merge", "Merge")]
    [TestCase("certify", "Certify")]
    [TestCase("promote", "Promote")]
    public async Task Offer_each_option_of_their_step_with_its_default(string step, string id)
    {
        var (exit, output) = await Executables.RunAsync(
            Path.Combine(Executables.Folder, step), ["--explain-options"], Path.GetTempPath(), Path.GetTempPath(), []);
        Assert.That(exit, Is.Zero, output);
        var options = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Columns().Split(line.Trim()))
            .ToDictionary(columns => columns[0], columns => columns[^1] == "default" ? columns[1] : "");

        var recipe = XDocument.Load(Path.Combine(
            Demo.Root, "teamcity-settings", ".teamcity", "CiSteps", "pluginData", "metaRunners", $"CiSteps_{id}Recipe.xml"));
        var offered = recipe.Root!.Element("settings")!.Element("parameters")!
            .Elements()
            .ToDictionary(
                parameter => ((string)parameter.Attribute("name")!)["cisteps.".Length..],
                parameter => (string)parameter.Attribute("value")!);
        var told = (string)recipe.Descendants("param")
            .Single(parameter => (string?)parameter.Attribute("name") == "command.parameters")
            .Attribute("value")!;

        Assert.That(offered.Keys.Where(name => name != "tool"), Is.EquivalentTo(options.Keys.Except(Elsewhere)));
        Assert.Multiple(() =>
        {
            foreach (var (name, value) in offered.Where(parameter => parameter.Key != "tool"))
            {
                // Empty is not given: the step's own default counts then.
                Assert.That(value, Is.Empty.Or.EqualTo(options[name]), name);
                Assert.That(told, Does.Match($"--{name}[= ]\"?%cisteps\\.{name}%"));
            }
        });
    }

    [GeneratedRegex(" {2,}")]
    private static partial Regex Columns();
}
