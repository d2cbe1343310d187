using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Cli.Chains;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;
using CiSteps.Reports;
using CiSteps.TeamCity.Chains;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Records;

/// <summary>A chain on disk: what was built, how each build ended, and where its log and artifacts are.</summary>
/// <param name="Folder">Its folder in the workspace.</param>
/// <param name="Id">Number of the run in the workspace, four digits; <see cref="RunIdentity.Chain"/>, which steps name in labels
/// and statements, is the chain.</param>
/// <param name="Branch">The branch that it built.</param>
/// <param name="Revisions">Commit by VCS root id.</param>
/// <param name="StartedAt">When it was queued.</param>
/// <param name="Top">The configurations that were triggered.</param>
/// <param name="Repository">Address of the repository.</param>
internal sealed record ChainRecord(
    string Folder,
    string Id,
    ChainBranch Branch,
    IReadOnlyDictionary<string, string> Revisions,
    DateTimeOffset StartedAt,
    IReadOnlyList<string> Top,
    string Repository)
{
    // A build of many thousand failed tests with their messages.
    private static readonly JsonLimits Limits = new(1L << 30);

    /// <summary>All its builds in order: id, name, and whether it runs however the others end.</summary>
    public IReadOnlyList<(string Id, string Name, bool Closes)> Builds { get; init; } = [];

    /// <summary>The one commit, shortened, for people.</summary>
    public string ShortCommit => Revisions.Values.FirstOrDefault() is { } commit ? ShortId.Of(commit) : "";

    /// <summary>Where its HTML report is.</summary>
    public string ReportFile => Path.Combine(Folder, "report.html");

    public string FolderOf(string buildId) => Path.Combine(Folder, "builds", buildId);

    /// <summary>Writes the chain's file.</summary>
    public void Write()
    {
        Directory.CreateDirectory(Folder);
        WriteJson(Path.Combine(Folder, "chain.json"), new JsonObject
        {
            ["id"] = Id,
            ["branch"] = Branch.Name,
            ["ref"] = Branch.FullName,
            ["default"] = Branch.IsDefault,
            ["revisions"] = Map(Revisions),
            ["startedAt"] = StartedAt.ToString("O"),
            ["repository"] = Repository,
            ["top"] = new JsonArray([.. Top.Select(id => (JsonNode)id)]),
            ["builds"] = new JsonArray([.. Builds.Select(build => (JsonNode)new JsonObject
            {
                ["configuration"] = build.Id,
                ["name"] = build.Name,
                ["closes"] = build.Closes,
            })]),
        });
    }

    /// <summary>Writes a build's file.</summary>
    public static void Write(BuildRun run)
    {
        Directory.CreateDirectory(run.Folder);
        WriteJson(Path.Combine(run.Folder, "build.json"), new JsonObject
        {
            ["configuration"] = run.Build.Id,
            ["id"] = run.Id,
            ["number"] = run.Number,
            ["state"] = run.State.ToString(),
            ["agent"] = run.Agent,
            ["startedAt"] = run.StartedAt?.ToString("O"),
            ["finishedAt"] = run.FinishedAt?.ToString("O"),
            ["status"] = run.StatusText,
            ["problems"] = new JsonArray([.. run.Problems.Select(
                problem => (JsonNode)new JsonObject { ["identity"] = problem.Identity, ["text"] = problem.Text })]),
            ["passedTests"] = run.PassedTests,
            ["ignoredTests"] = run.IgnoredTests,
            ["failedTests"] = new JsonArray([.. run.FailedTests.Select(test => (JsonNode)new JsonObject
            {
                ["name"] = test.Name,
                ["message"] = test.Message,
            })]),
            ["parameters"] = Map(run.Parameters),
        });
    }

    /// <summary>The last chain in the workspace, or the last one of a branch; null when there is none.</summary>
    public static ChainRecord? Last(string chainsFolder, string? branch)
    {
        if (!Directory.Exists(chainsFolder)) return null;
        return Directory.GetDirectories(chainsFolder).OrderByDescending(folder => folder, StringComparer.Ordinal)
            .Select(Read).FirstOrDefault(record => record is not null && (branch is null || record.IsOf(branch)));
    }

    /// <summary>The chain of that number in the workspace; null when there is none.</summary>
    public static ChainRecord? Find(string chainsFolder, string id)
    {
        if (!Directory.Exists(chainsFolder)) return null;
        return Directory.GetDirectories(chainsFolder).Select(Read)
            .FirstOrDefault(record => record is not null && record.Id.TrimStart('0') == id.TrimStart('0'));
    }

    /// <summary>Whether every configuration that was triggered succeeded.</summary>
    public bool Succeeded(IReadOnlyList<BuildRun> builds) =>
        Top.All(top => builds.Any(build => build.Build.Id == top && build.State == BuildState.Succeeded));

    /// <summary>
    /// Brings back all builds of this chain in order, as they were recorded: the settings may have changed since.
    /// </summary>
    public IReadOnlyList<BuildRun> ReadBuilds() => [.. Builds.Select(build =>
    {
        var bare = BuildConfiguration.Named(build.Id, build.Name, new SourceLocation("chain.json", 1));
        if (ReadBuild(bare, build.Closes) is { } run) return run;
        var missing = new BuildRun(bare, FolderOf(build.Id)) { State = BuildState.Cancelled, Closes = build.Closes };
        missing.Fail("no-record", "it left no record of its end: it still runs, or the run was killed");
        return missing;
    })];

    private bool IsOf(string branch) =>
        Branch.Name == branch || Branch.FullName == branch || Branch.FullName == "refs/heads/" + branch;

    /// <summary>Brings back a finished build of this chain; null when there is none.</summary>
    public BuildRun? ReadBuild(BuildConfiguration build) => ReadBuild(build, DependencyVerdicts.RunsWhatever(build));

    private BuildRun? ReadBuild(BuildConfiguration build, bool closes)
    {
        var file = Path.Combine(FolderOf(build.Id), "build.json");
        return Json(file, json => ToBuild(build, closes, json));
    }

    private BuildRun ToBuild(BuildConfiguration build, bool closes, JsonObject json)
    {
        var run = new BuildRun(build, FolderOf(build.Id))
        {
            Id = json.Text("id") ?? "",
            Number = json.Text("number") ?? "",
            State = Enum.TryParse<BuildState>(json.Text("state"), out var state) ? state : BuildState.Cancelled,
            Agent = json.Text("agent") ?? "",
            StatusText = json.Text("status") ?? "",
            StartedAt = Date(json["startedAt"]),
            FinishedAt = Date(json["finishedAt"]),
            Parameters = Map(json["parameters"]),
            Closes = closes,
        };
        foreach (var problem in json.Objects("problems"))
            run.Fail(problem.Text("identity") ?? "problem", problem.Text("text") ?? "");
        run.RecallTests((int)(json.Number("passedTests") ?? 0), (int)(json.Number("ignoredTests") ?? 0),
            json.Objects("failedTests").Select(test => new FailedTest(test.Text("name") ?? "", test.Text("message") ?? "")));
        return run;
    }

    private static ChainRecord? Read(string folder)
    {
        var file = Path.Combine(folder, "chain.json");
        return Json(file, json => ToRecord(folder, json));
    }

    private static ChainRecord ToRecord(string folder, JsonObject json)
    {
        var branch = new ChainBranch(json.Text("branch") ?? "", json.Text("ref") ?? "", json.Flag("default") ?? false);
        var top = json.Texts("top");
        var builds = json.Objects("builds")
            .Select(build => (build.Text("configuration") ?? "", build.Text("name") ?? "", build.Flag("closes") ?? false));
        return new ChainRecord(folder, json.Text("id") ?? "", branch, Map(json["revisions"]), Date(json["startedAt"]) ?? default,
            [.. top], json.Text("repository") ?? "")
        {
            Builds = [.. builds],
        };
    }

    // Null for what a run that was killed left half written: there is nothing to go on from.
    private static T? Json<T>(string file, Func<JsonObject, T> read) where T : class
    {
        if (!File.Exists(file)) return null;
        try
        {
            return read(OutsideJson.ReadObjectFile(file, Limits));
        }
        catch (OutsideJsonException)
        {
            return null;
        }
    }

    private static DateTimeOffset? Date(JsonNode? node) =>
        DateTimeOffset.TryParse(node.Text(), System.Globalization.CultureInfo.InvariantCulture, out var date) ? date : null;

    private static JsonObject Map(IReadOnlyDictionary<string, string> values)
    {
        var json = new JsonObject();
        foreach (var (name, value) in values) json[name] = value;
        return json;
    }

    private static Dictionary<string, string> Map(JsonNode? node) =>
        (node.Map() ?? []).ToDictionary(pair => pair.Key, pair => pair.Value.Text() ?? "", StringComparer.Ordinal);

    internal static void WriteJson(string path, JsonObject json) => WholeFile.Write(path, stream =>
    {
        var encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = encoder });
        json.WriteTo(writer);
    });
}
