using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Pipeline.Reading;
using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Tests;

/// <summary>The JSON Schema that editors use says what the parser says.</summary>
public sealed class The_schema
{
    private static readonly JsonObject Definitions = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(
        AppContext.BaseDirectory, "ci-steps.schema.json")))!["$defs"]!;

    private static IEnumerable<TestCaseData> Sections =>
        Section.All.Select(section => new TestCaseData(section.Name, section.Keys).SetArgDisplayNames(section.Name));

    [TestCaseSource(nameof(Sections))]
    public void Has_the_parsers_keys(string section, IReadOnlyList<string> keys)
    {
        var definition = (JsonObject)Definitions[section]!;
        Assert.That(((JsonObject)definition["properties"]!).Select(property => property.Key), Is.EquivalentTo(keys));
        Assert.That((bool)definition["additionalProperties"]!, Is.False);
    }

    [Test]
    public void Has_the_parsers_report_formats() =>
        Assert.That(
            ((JsonArray)Definitions["format"]!["enum"]!).Select(node => (string)node!),
            Is.EquivalentTo(ComponentReading.Formats));

    [Test]
    public void Has_the_parsers_test_frameworks() =>
        Assert.That(
            ((JsonArray)Definitions["retry"]!["properties"]!["framework"]!["enum"]!).Select(node => (string)node!),
            Is.EquivalentTo(RetryDefinition.Frameworks));

    [TestCase("pipeline", "components", "x: 1")]
    [TestCase("component", "name", "components: [{ paths: [x] }]")]
    [TestCase("component", "paths", "components: [{ name: x }]")]
    [TestCase("registry", "push", "registry: { pull: x }\ncomponents: []")]
    [TestCase("testRun", "run", "components: [{ name: x, paths: [x], unit-tests: [{ name: x }] }]")]
    [TestCase("command", "run", "components: [{ name: x, paths: [x], pre-build: { folder: x } }]")]
    [TestCase(
        "quarantined", "until", "components: [{ name: x, paths: [x], unit-tests: [{ run: x, quarantine: [{ test: x }] }] }]")]
    [TestCase("workload", "manifests", "components: [{ name: x, paths: [x], workload: { name: x } }]")]
    [TestCase("suite", "class", "integration: [{ name: x }]\ncomponents: []")]
    [TestCase(
        "dependent",
        "image",
        "integration: [{ name: x, class: c, tests: { run: x }, dependents: [{ name: x }] }]\ncomponents: []")]
    [TestCase("production", "waves", "production: { x: 1 }\ncomponents: []")]
    [TestCase("wave", "targets", "production: { waves: [{ name: x }] }\ncomponents: []")]
    [TestCase("target", "kubeconfig", "production: { waves: [{ name: x, targets: [{ name: x }] }] }\ncomponents: []")]
    [TestCase(
        "gate",
        "http",
        "production: { waves: [{ name: x, targets: [{ name: x, kubeconfig: X, namespace: n, gate: { for: " +
        "1s } }] }] }\ncomponents: []")]
    public void Requires_what_the_parser_requires(string section, string key, string without)
    {
        Assert.That(((JsonArray)Definitions[section]!["required"]!).Select(node => (string)node!), Does.Contain(key));
        Assert.That(
            Assert.Throws<UsageException>(() => PipelineFile.Parse(without, "f"))!.Message, Does.Contain($"needs \"{key}\""));
    }

    [Test]
    public void Refers_only_to_what_it_defines()
    {
        var names = Definitions.Select(definition => "#/$defs/" + definition.Key).ToHashSet();
        Assert.That(References(Definitions).Distinct(), Is.SubsetOf(names));

        static IEnumerable<string> References(JsonNode? node) => node switch
        {
            JsonObject map =>
                map.SelectMany(property => property.Key == "$ref" ? [(string)property.Value!] : References(property.Value)),
            JsonArray list => list.SelectMany(References),
            _ => [],
        };
    }
}
