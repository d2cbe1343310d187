using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Tests;

/// <summary>Whose pipeline file counts, key by key: in the code, in the schema, and in the table that people read.</summary>
public sealed class Whose_file_counts
{
    private static readonly JsonObject Definitions = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(
        AppContext.BaseDirectory, "ci-steps.schema.json")))!["$defs"]!;

    [Test]
    public void Is_decided_for_every_key_of_the_schema() =>
        Assert.That(KeyDecisions.All.Keys.Select(key => $"{key.Section}.{key.Key}"), Is.EquivalentTo(Definitions
            .Where(definition => definition.Value is JsonObject map && map["properties"] is JsonObject)
            .SelectMany(definition => ((JsonObject)definition.Value!["properties"]!)
                .Select(property => $"{definition.Key}.{property.Key}"))));

    [Test]
    public void Stands_in_the_table_of_the_readme()
    {
        var rows = File.ReadAllLines(Readme()).SkipWhile(line => line != "| section | the change's file counts | the target's " +
            "file counts |").Skip(2).TakeWhile(line => line.StartsWith('|'));
        Assert.That(rows, Is.EqualTo(Section.All.Select(section =>
            $"| {section.Name} | {Keys(section, Decider.Change)} | {Keys(section, Decider.Target)} |")));
    }

    private static string Keys(Section section, Decider decider) =>
        string.Join(", ", section.Keys.Where(key => KeyDecisions.All[(section.Name, key)] == decider)
            .Select(key => $"`{key}`")) is { Length: > 0 } keys ? keys : "–";

    private static string Readme([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "steps", "README.md");

    private static readonly (string Name, string From, string To)[] Edits =
    [
        ("registry.push (\"localhost:6000\" and \"localhost:5000\")", "push: localhost:5000", "push: localhost:6000"),
        ("registry.pull", "registry.internal:5000/mirror", "registry.internal:6000/mirror"),
        ("registry.branch-prefix", "branch-prefix: ci", "branch-prefix: cd"),
        ("registry.plain-http", "plain-http: true", "plain-http: false"),
        ("branches.target", "target: main", "target: trunk"),
        ("branches.private", "private: ci/*", "private: cd/*"),
        ("integration \"smoke\"", "class: small", "class: large"),
        ("integration \"smoke\"", "time-limit: 6m", "time-limit: 7m"),
        ("integration \"smoke\"", "job: integration/job.yaml", "job: integration/other.yaml"),
        ("integration \"smoke\"", "quotes.yaml", "other.yaml"),
        ("integration \"other\"", "name: command", "name: other"),
        ("integration \"command\"", "name: command", "name: other"),
        ("integration \"command\"", "env: { Q: r }", "env: { Q: s }"),
        ("production", "for: 5s", "for: 6s"),
        ("production", "soak: 10s", "soak: 11s"),
        ("production", "http: \"service://greeter:80/healthz\"", "http: \"service://greeter:80/\""),
        ("production", "namespace: shop", "namespace: shops"),
        ("notifications", "email: greeters@example.org", "email: other@example.org"),
        ("notifications", "platform: greeters", "platform: others"),
        ("owners of \"greeter\"", "owners: [greeters]", "owners: [others]"),
        ("retry of the unit tests \"unit\" of \"greeter\"", "attempts: 3", "attempts: 4"),
        ("quarantine of the unit tests \"unit\" of \"greeter\"", "until: 2026-12-31", "until: 2027-12-31"),
        ("unit tests \"unit\" of \"greeter\"", "- name: unit\n", "- name: renamed\n"),
    ];

    [TestCaseSource(nameof(Edits))]
    public void Is_said_by_name_where_the_target_decides((string Name, string From, string To) edit)
    {
        var sample = Sample.Full.Replace("owners: { greeters:", "owners: { others: { email: o@example.org }, greeters:");
        Assert.That(sample, Does.Contain(edit.From));
        var target = PipelineFile.Parse(sample, "f");
        Assert.That(PolicyDifferences.Between(target, target), Is.Empty);
        var differences = PolicyDifferences.Between(PipelineFile.Parse(sample.Replace(edit.From, edit.To), "f"), target);
        Assert.That(differences, Has.Some.StartsWith(edit.Name));
    }

    [TestCase("dockerfile: greeter/Dockerfile", "dockerfile: greeter/Dockerfile2")]
    [TestCase("run: sh greeter/tests/unit.sh", "run: sh greeter/tests/units.sh")]
    [TestCase("time-limit: 5m", "time-limit: 6m")]
    [TestCase("major: 2", "major: 3")]
    [TestCase("kind: StatefulSet", "kind: Deployment")]
    public void Is_not_said_where_the_change_decides(string from, string to) =>
        Assert.That(PolicyDifferences.Between(PipelineFile.Parse(Sample.Full.Replace(from, to), "f"),
            PipelineFile.Parse(Sample.Full, "f")), Is.Empty);
}
