using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Cli.Tests;

/// <summary>
/// An HTTP server that knows the documented calls for projects, VCS roots and versioned settings, with the bodies that the
/// documentation gives, and nothing else: any other request is written down as a fault.
/// </summary>
internal sealed partial class TeamCityRest : IAsyncDisposable
{
    public const string Token = "eyJ0eXAiOiAiVENWMiJ9.access-token-of-a-test";

    private const string Begun = "Loading project settings from VCS";

    private readonly WebApplication application;
    private readonly Dictionary<string, TeamCityProject> projects = new(StringComparer.Ordinal)
    {
        ["_Root"] = new TeamCityProject()
    };
    private readonly HashSet<string> roots = new(StringComparer.Ordinal);
    private readonly List<string> requests = [];
    private readonly List<string> faults = [];
    private int clock;

    private TeamCityRest(WebApplication application) => this.application = application;

    public string Url => application.Urls.First();

    /// <summary>Method and path below /app/rest/ of each request.</summary>
    public IReadOnlyList<string> Requests => requests;

    /// <summary>Requests that no documentation knows.</summary>
    public IReadOnlyList<string> Faults => faults;

    public IReadOnlyDictionary<string, TeamCityProject> Projects => projects;

    /// <summary>What the repository holds: the projects that appear when its settings are loaded.</summary>
    public IReadOnlyList<string> Repository { get; set; } = [];

    /// <summary>What is wrong with the settings in the repository, as file and message.</summary>
    public (string File, string Message)? Broken { get; set; }

    /// <summary>The type of status that switching versioned settings on leaves.</summary>
    public string SaysWhenEnabled { get; set; } = "info";

    /// <summary>
    /// How many questions for the status pass before a load ends, which the last but one begins to tell of; null for never.
    /// </summary>
    public int? LoadTakes { get; set; } = 2;

    /// <summary>Answers in place of the server: a status and a body for a request, null to go on.</summary>
    public Func<string, (int Status, string Body)?> Instead { get; set; } = _ => null;

    /// <summary>Where the server sends every request; null to answer.</summary>
    public string? Redirect { get; set; }

    public static async Task<TeamCityRest> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var server = new TeamCityRest(builder.Build());
        server.application.Run(server.AnswerAsync);
        await server.application.StartAsync();
        return server;
    }

    public void AddRoot(string id) => roots.Add(id);

    public TeamCityProject AddProject(string id) => projects[id] = new TeamCityProject();

    public ValueTask DisposeAsync() => application.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        var request =
            $"{context.Request.Method} " +
            $"{(path.StartsWith("/app/rest/", StringComparison.Ordinal)
                ? path["/app/rest/".Length..]
                : path)}{context.Request.QueryString}";
        using var reader = new StreamReader(context.Request.Body);
        var text = await reader.ReadToEndAsync(context.RequestAborted);
        (int Status, string Body) answer;
        lock (requests)
        {
            requests.Add(request);
            if (Redirect is not null) context.Response.Headers.Location = Redirect;
            answer = Redirect is not null ? (302, "")
                : context.Request.Headers.Authorization != "Bearer " + Token
                    ? (401, "Authentication required\nTo login manually go to \"/login.html\" page")
                : Instead(request)
                    ?? Known(request, text.Length == 0 ? [] : JsonNode.Parse(text)!.AsObject())
                    ?? Unknown(request);
        }
        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = answer.Body.StartsWith('{') ? "application/json" : "text/plain";
        await context.Response.WriteAsync(answer.Body, context.RequestAborted);
    }

    private (int, string) Unknown(string request)
    {
        faults.Add(request);
        return (501, "the test's server does not know this request");
    }

    private (int, string)? Known(string request, JsonObject body)
    {
        if (request == "POST projects") return Keys(body, "id name parentProject", request) ?? NewProject(body);
        if (request == "POST vcs-roots") return Keys(body, "id name project properties vcsName", request) ?? NewRoot(body);
        if (Versioned().Match(request) is not { Success: true } call) return null;
        if (!projects.TryGetValue(call.Groups["project"].Value, out var project))
            return Errors(404, $"No project found by locator 'id:{call.Groups["project"].Value}'");
        return (call.Groups["method"].Value, call.Groups["what"].Value) switch
        {
            ("GET", "config") => (200, project.Config.ToJsonString()),
            ("PUT", "config") => Configure(project, body, request),
            ("GET", "status") => Status(project),
            ("GET", "tokens") => Tokens(project),
            ("POST", "tokens") => NewTokens(project, body, request),
            ("POST", "loadSettings") => Load(project),
            _ => null,
        };
    }

    private (int, string)? Keys(JsonObject body, string known, string request)
    {
        if (string.Join(' ', body.Select(pair => pair.Key).Order(StringComparer.Ordinal)) == known) return null;
        faults.Add($"{request} with {body.ToJsonString()}");
        return Errors(400, $"expected {known}");
    }

    private (int, string) NewProject(JsonObject body)
    {
        var id = (string)body["id"]!;
        if ((string?)body["parentProject"]!["locator"] is not "id:_Root") return Errors(404, "No such parent");
        return projects.TryAdd(id, new TeamCityProject())
            ? (200, new JsonObject { ["id"] = id }.ToJsonString())
            : Errors(400, $"Project with id \"{id}\" already exists");
    }

    private (int, string) NewRoot(JsonObject body)
    {
        var (id, owner) = ((string)body["id"]!, (string)body["project"]!["id"]!);
        if (!projects.TryGetValue(owner, out var project)) return Errors(404, $"No project found by locator 'id:{owner}'");
        if (!roots.Add(id)) return Errors(400, $"VCS root id \"{id}\" is already used");
        project.RootProperties = body["properties"]!["property"]!
            .AsArray()
            .ToDictionary(one => (string)one!["name"]!, one => (string)one!["value"]!);
        return (200, new JsonObject { ["id"] = id }.ToJsonString());
    }

    private (int, string) Configure(TeamCityProject project, JsonObject body, string request)
    {
        string[] known = [
            "synchronizationMode", "vcsRootId", "format", "buildSettingsMode", "allowUIEditing", "storeSecureValuesOutsideVcs",
            "portableDsl", "showSettingsChanges", "importDecision"
        ];
        if (body.Any(pair => !known.Contains(pair.Key))) return Unknown($"{request} with {body.ToJsonString()}");
        if (!roots.Contains((string)body["vcsRootId"]!)) return Errors(400, $"VCS root {body["vcsRootId"]} is not found");
        if ((string?)body["importDecision"] != "importFromVCS" || (string?)body["format"] != "xml")
            return Errors(400, "the repository's settings would be overwritten");
        var stored = body.DeepClone().AsObject();
        stored.Remove("importDecision");
        stored.Remove("storeSecureValuesOutsideVcs");
        project.Config = stored;
        project.Said = Say(SaysWhenEnabled, "Versioned settings are enabled");
        return (200, stored.ToJsonString());
    }

    private (int, string) Load(TeamCityProject project)
    {
        if ((string?)project.Config["synchronizationMode"] != "enabled") return Errors(400, "Versioned Settings are not enabled");
        project.Loading = LoadTakes ?? int.MaxValue;
        if (project.Loading is < 2 or int.MaxValue) project.Said = Say("info", Begun);
        return (200, "{\"count\":0}");
    }

    private (int, string) Status(TeamCityProject project)
    {
        if (project.Said is null) return (400, "Versioned Settings have never been enabled in this project.");
        if (project.Loading is 0 or int.MaxValue) return (200, project.Said.ToJsonString());
        if (--project.Loading == 1) project.Said = Say("info", Begun);
        if (project.Loading == 0)
        {
            project.Said = Broken is null
                ? Say("info", "Changes from VCS are applied to project settings")
                : Say("warn", "Failed to apply changes from VCS");
            if (Broken is { } broken)
                project.Said["versionedSettingsError"] = new JsonArray(new JsonObject
                {
                    ["file"] = broken.File,
                    ["message"] = broken.Message,
                    ["type"] = "error"
                });
            else
                foreach (var id in Repository) projects.TryAdd(id, new TeamCityProject());
        }
        return (200, project.Said.ToJsonString());
    }

    private JsonObject Say(string type, string message) =>
        new()
        {
            ["type"] = type,
            ["message"] = message,
            ["timestamp"] = $"20260101T00{++clock:00}00+0000",
            ["dslOutdated"] = false
        };

    private static (int, string) Tokens(TeamCityProject project) =>
        (
            200,
            new JsonObject
            {
                ["versionedSettingsToken"] = new JsonArray([.. project.Tokens.Keys.Select(
                    name => (JsonNode)new JsonObject { ["name"] = name })])
            }.ToJsonString());

    private (int, string) NewTokens(TeamCityProject project, JsonObject body, string request)
    {
        foreach (var token in body["versionedSettingsToken"]!.AsArray())
        {
            var name = (string)token!["name"]!;
            if (!name.StartsWith("credentialsJSON:", StringComparison.Ordinal)) return Unknown($"{request} named {name}");
            project.Tokens[name] = (string)token["value"]!;
        }
        return Tokens(project);
    }

    private static (int, string) Errors(int status, string message) =>
        (status, new JsonObject { ["errors"] = new JsonArray(new JsonObject { ["message"] = message }) }.ToJsonString());

    [GeneratedRegex("^(?<method>[A-Z]+) projects/id:(?<project>[^/]+)/versionedSettings/(?<what>[A-Za-z]+)$")]
    private static partial Regex Versioned();
}

/// <summary>A project on the server.</summary>
internal sealed class TeamCityProject
{
    public JsonObject Config { get; set; } = new() { ["synchronizationMode"] = "useParentProjectSettings" };

    public Dictionary<string, string> Tokens { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> RootProperties { get; set; } = [];

    public JsonObject? Said { get; set; }

    public int Loading { get; set; }
}
