using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.UnitTest.Tests;

/// <summary>A repository with two components on a private branch, and the step run on it in process.</summary>
internal sealed class Project : IDisposable
{
    public const string Tap = "1..2\nok 1 - adds\nok 2 - divides\n";

    private readonly GitRepositories repositories = new();

    public Project(string apiTests, string webTests = "run: [cat, web.tap]", string more = "")
    {
        Clone = repositories.Clone();
        Clone.Write("ci-steps.yaml", Yaml(apiTests, webTests, more));
        Clone.Write("api/main.txt", "1");
        Clone.Write("web/main.txt", "1");
        Clone.Write("docs/readme.txt", "1");
        Clone.Write("web.tap", Tap);
        Clone.Write(".gitignore", "*.log\n");
        Clone.Commit("begin");
        Clone.Push();
        Clone.Branch("ci/x");
    }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = new(LocalEngine.Variables)
    {
        ["PATH"] = System.Environment.GetEnvironmentVariable("PATH")!,
        ["CISTEPS_BUILD_NUMBER"] = "7",
    };

    public TimeProvider Time { get; set; } = TimeProvider.System;

    public static string Yaml(string apiTests, string webTests = "run: [cat, web.tap]", string more = "") => $"""
        registry:
          push: registry.example
        components:
          - name: api
            paths: [api/**]
            owners: [team-a]
            major: 1
            unit-tests:
              - name: unit
                {Indent(apiTests)}
          - name: web
            paths: [web/**]
            owners: [team-b]
            major: 1
            {(webTests.Length == 0 ? "" : $"unit-tests:\n      - name: unit\n        {Indent(webTests)}")}
        {more}
        notifications:
          owners:
            team-a:
              email: a@example.org
            team-b:
              email: b@example.org
        """;

    /// <summary>Commits a change of one file.</summary>
    public Project Change(string path = "api/main.txt", string text = "2")
    {
        Clone.Commit(path, text);
        return this;
    }

    public Task<int> RunAsync(params string[] arguments) => RunAsync(null, null, default, arguments);

    public async Task<int> RunAsync(
        ITestCommands? commands, ICertifiedCommits? certified, CancellationToken stop, params string[] arguments)
    {
        using var output = new StringWriter();
        var exit = await StepHost.RunAsync(
            UnitTestCommand.Create(commands, certified),
            ["--work-tree", Clone.Folder, .. arguments],
            output,
            output,
            Environment,
            Time,
            stop: stop);
        Output = output.ToString();
        return exit;
    }

    public JsonObject Record => (JsonObject)Statement["predicate"]!["cisteps"]!;

    public JsonObject Statement =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(Clone.Folder, ".ci-steps/evidence/unit-test/statement.json")))!;

    public JsonObject Results =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(Clone.Folder, ".ci-steps/evidence/unit-test/results.json")))!;

    public string Reason => (string)Record["reason"]!;

    public string Text => (string)Record["text"]!;

    public JsonObject Component(string name) =>
        (JsonObject)((JsonArray)Record["handOver"]!["components"]!).Single(node => (string?)node!["component"] == name)!;

    public void Dispose() => repositories.Dispose();

    private static string Indent(string text) =>
        text.ReplaceLineEndings("\n").Replace("\n", "\n        ", StringComparison.Ordinal);
}
