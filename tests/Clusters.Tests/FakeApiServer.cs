using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Clusters.Tests;

/// <summary>
/// An API server on loopback that keeps objects, serves lists and watches, and answers as a test tells it to. It behaves badly on
/// command only.
/// </summary>
internal sealed class FakeApiServer : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, JsonObject> objects = new(StringComparer.Ordinal);
    private readonly List<(string Collection, Channel<(string Type, JsonObject Item)> Into)> watchers = [];
    private readonly WebApplication app;
    private readonly CancellationTokenSource stop = new();
    private long version = 100;

    private FakeApiServer(WebApplication app) => this.app = app;

    /// <summary>Called before each request; an answer other than null is sent instead of the real one.</summary>
    public Func<HttpRequest, (int Code, string Body)?> Answer { get; set; } = _ => null;

    /// <summary>Finalizers of deleted objects are honoured: such objects stay until they are taken off.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    public Dictionary<string, Func<HttpRequest, HttpResponse, CancellationToken, Task>> Special { get; } =
        new(StringComparer.Ordinal);

    public string Url { get; private set; } = "";

    public string Kubeconfig => $$"""
        apiVersion: v1
        kind: Config
        current-context: fake
        clusters: [{name: fake, cluster: {server: "{{Url}}" } }]
        users: [{name: fake, user: {token: fake-token-of-the-test} }]
        contexts: [{name: fake, context: {cluster: fake, user: fake} }]
        """;

    public static async Task<FakeApiServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new FakeApiServer(app);
        app.Run(server.ServeAsync);
        await app.StartAsync();
        server.Url = app.Urls.Single();
        return server;
    }

    /// <summary>Puts an object at its place and tells the watchers.</summary>
    public JsonObject Put(string path, JsonObject item)
    {
        lock (gate)
        {
            var isNew = !objects.ContainsKey(path);
            var metadata = item["metadata"] as JsonObject ?? (JsonObject)(item["metadata"] = new JsonObject());
            metadata["name"] ??= path[(path.LastIndexOf('/') + 1)..];
            metadata["uid"] ??= isNew ? Guid.NewGuid().ToString() : (string?)objects[path]["metadata"]?["uid"];
            metadata["resourceVersion"] = (++version).ToString(System.Globalization.CultureInfo.InvariantCulture);
            objects[path] = item;
            Tell(path, isNew ? "ADDED" : "MODIFIED", item);
            return item;
        }
    }

    public JsonObject Put(string path, string json) => Put(path, (JsonObject)JsonNode.Parse(json)!);

    public JsonObject? Find(string path)
    {
        lock (gate) return objects.TryGetValue(path, out var item) ? (JsonObject)item.DeepClone() : null;
    }

    public void Remove(string path)
    {
        lock (gate)
        {
            if (!objects.Remove(path, out var item)) return;
            version++;
            Tell(path, "DELETED", item);
        }
    }

    /// <summary>Sends a line to all watchers of a collection, whatever it is.</summary>
    public void Shout(string collection, string type, JsonObject item)
    {
        lock (gate)
            foreach (var watcher in watchers.Where(watcher => watcher.Collection == collection))
                watcher.Into.Writer.TryWrite((type, item));
    }

    /// <summary>Waits until somebody watches all of these collections.</summary>
    public async Task WatchedAsync(params string[] collections)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!collections.All(IsWatched)) await Task.Delay(5, limit.Token);
    }

    private bool IsWatched(string collection)
    {
        lock (gate) return watchers.Any(watcher => watcher.Collection == collection);
    }

    /// <summary>Closes all open watches.</summary>
    public void DropWatches()
    {
        lock (gate)
        {
            foreach (var watcher in watchers) watcher.Into.Writer.TryComplete();
            watchers.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        DropWatches();
        await app.DisposeAsync();
        stop.Dispose();
    }

    private void Tell(string path, string type, JsonObject item)
    {
        var collection = path[..path.LastIndexOf('/')];
        foreach (var watcher in watchers.Where(watcher => watcher.Collection == collection))
            watcher.Into.Writer.TryWrite((type, (JsonObject)item.DeepClone()));
    }

    private async Task ServeAsync(HttpContext http)
    {
        var request = http.Request;
        var path = request.Path.Value!;
        Requests.Enqueue($"{request.Method} {path}{request.QueryString}");
        if (Answer(request) is var (code, body))
        {
            await WriteAsync(http.Response, code, body);
            return;
        }
        if (Special.TryGetValue(path, out var special))
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, stop.Token);
            await special(request, http.Response, either.Token);
            return;
        }
        if (Discovery(path) is { } discovery) await WriteAsync(http.Response, 200, discovery);
        else if (request.Method == "GET" && request.Query["watch"] == "true") await WatchAsync(http, path);
        else if (request.Method == "GET" && path.Count(letter => letter == '/') >= 3 && !IsObject(path))
            await WriteAsync(http.Response, 200, List(path, request.Query["fieldSelector"], request.Query["labelSelector"]));
        else await ObjectAsync(http, path);
    }

    private static bool IsObject(string path)
    {
        var parts = path.Trim('/').Split('/');
        var at = parts[0] == "api" ? 2 : 3;
        var rest = parts[at..];
        // namespaces/x/pods is a collection, namespaces/x an object.
        return rest is [_, _] or ["namespaces", _, _, _];
    }

    private string List(string path, string? field, string? label)
    {
        lock (gate)
        {
            var items = new JsonArray();
            foreach (var (at, item) in objects)
                if (at[..at.LastIndexOf('/')] == path && Matches(item, field, label)) items.Add(item.DeepClone());
            return new JsonObject
            {
                ["kind"] = "List",
                ["apiVersion"] = "v1",
                ["metadata"] = new JsonObject
                {
                    ["resourceVersion"] = version.ToString(System.Globalization.CultureInfo.InvariantCulture)
                },
                ["items"] = items
            }.ToJsonString();
        }
    }

    private static bool Matches(JsonObject item, string? field, string? label)
    {
        if (field is { Length: > 0 } && (string?)item["metadata"]?["name"] != field["metadata.name=".Length..]) return false;
        return label is not { Length: > 0 }
            || label
                .Split(',')
                .All(part => part.Split('=') is [var name, var value] && (string?)item["metadata"]?["labels"]?[name] == value);
    }

    private async Task WatchAsync(HttpContext http, string path)
    {
        var into = Channel.CreateUnbounded<(string Type, JsonObject Item)>();
        lock (gate) watchers.Add((path, into));
        http.Response.ContentType = "application/json";
        using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, stop.Token);
        try
        {
            await http.Response.StartAsync(either.Token);
            await http.Response.Body.FlushAsync(either.Token);
            await foreach (var (type, item) in into.Reader.ReadAllAsync(either.Token))
            {
                if (type is "ADDED" or "MODIFIED" or "DELETED"
                    && !Matches(item, http.Request.Query["fieldSelector"], http.Request.Query["labelSelector"]))
                    continue;
                await http.Response.WriteAsync(
                    new JsonObject { ["type"] = type, ["object"] = item.DeepClone() }.ToJsonString() + "\n", either.Token);
                await http.Response.Body.FlushAsync(either.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The client has left, or the test is over.
        }
        finally
        {
            lock (gate) watchers.RemoveAll(watcher => watcher.Into == into);
        }
    }

    private async Task ObjectAsync(HttpContext http, string path)
    {
        using var reader = new StreamReader(http.Request.Body);
        var body = await reader.ReadToEndAsync();
        var json = body.Length > 0 ? (JsonObject)JsonNode.Parse(body)! : [];
        switch (http.Request.Method)
        {
            case "GET":
                await (Find(path) is { } found
                    ? WriteAsync(http.Response, 200, found.ToJsonString())
                    : NotFoundAsync(http.Response, path));
                return;
            case "POST":
                var at = $"{path}/{(string?)json["metadata"]?["name"]}";
                if (Find(at) is not null)
                    await WriteAsync(http.Response, 409, Status(409, "AlreadyExists", $"\"{at}\" already exists"));
                else await WriteAsync(http.Response, 201, Put(at, json).ToJsonString());
                return;
            case "PUT":
                await WriteAsync(http.Response, 200, Put(path, json).ToJsonString());
                return;
            case "PATCH":
                if (http.Request.Query["dryRun"] == "All") await WriteAsync(http.Response, 200, json.ToJsonString());
                else if (Find(path) is { } current)
                    await WriteAsync(http.Response, 200, Put(path, Merge(current, json)).ToJsonString());
                else await WriteAsync(http.Response, 201, Put(path, json).ToJsonString());
                return;
            default:
                if (Find(path) is not { } doomed) await NotFoundAsync(http.Response, path);
                else if ((string?)json["preconditions"]?["uid"] is { } uid && uid != (string?)doomed["metadata"]?["uid"])
                    await WriteAsync(http.Response, 409, Status(409, "Conflict", "the uid is another"));
                else
                {
                    if (doomed["metadata"]?["finalizers"] is JsonArray { Count: > 0 })
                    {
                        doomed["metadata"]!["deletionTimestamp"] = "2026-01-01T00:00:00Z";
                        Put(path, doomed);
                    }
                    else Remove(path);
                    await WriteAsync(http.Response, 200, Status(200, "", ""));
                }
                return;
        }
    }

    private static JsonObject Merge(JsonObject into, JsonObject from)
    {
        foreach (var (name, value) in from)
        {
            if (value is JsonObject inner && into[name] is JsonObject there) Merge(there, inner);
            else into[name] = value?.DeepClone();
        }
        return into;
    }

    private static string? Discovery(string path) => path switch
    {
        "/version" => """{"gitVersion":"v1.99.0-fake"}""",
        "/apis" =>
            """
            {"groups":[{"name":"apps","preferredVersion":{"groupVersion":"apps/v1"}},
             {"name":"batch","preferredVersion":{"groupVersion":"batch/v1"}},
             {"name":"rbac.authorization.k8s.io","preferredVersion":{"groupVersion":"rbac.authorization.k8s.io/v1"}},
             {"name":"admissionregistration.k8s.io","preferredVersion":{"groupVersion":"admissionregistration.k8s.io/v1"}},
             {"name":"apiextensions.k8s.io","preferredVersion":{"groupVersion":"apiextensions.k8s.io/v1"}}]}
            """,
        "/api/v1" =>
            Resources(
                ("Namespace", "namespaces", false),
                ("Pod", "pods", true),
                ("Service", "services", true),
                ("ConfigMap", "configmaps", true),
                ("Secret", "secrets", true),
                ("Event", "events", true)),
        "/apis/apps/v1" =>
            Resources(
                ("Deployment", "deployments", true),
                ("ReplicaSet", "replicasets", true),
                ("StatefulSet", "statefulsets", true),
                ("DaemonSet", "daemonsets", true)),
        "/apis/batch/v1" => Resources(("Job", "jobs", true)),
        "/apis/rbac.authorization.k8s.io/v1" => Resources(("ClusterRole", "clusterroles", false), ("Role", "roles", true)),
        "/apis/admissionregistration.k8s.io/v1" =>
            Resources(("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false)),
        "/apis/apiextensions.k8s.io/v1" => Resources(("CustomResourceDefinition", "customresourcedefinitions", false)),
        _ => null,
    };

    private static string Resources(params (string Kind, string Plural, bool Namespaced)[] kinds) =>
        new JsonObject
        {
            ["kind"] = "APIResourceList",
            ["resources"] = new JsonArray([.. kinds.Select(kind => (JsonNode)new JsonObject
            {
                ["name"] = kind.Plural, ["kind"] = kind.Kind, ["namespaced"] = kind.Namespaced,
                ["verbs"] = new JsonArray("create", "delete", "get", "list", "patch", "update", "watch"),
            })]),
        }.ToJsonString();

    public static string Status(int code, string reason, string message) =>
        new JsonObject { ["kind"] = "Status", ["code"] = code, ["reason"] = reason, ["message"] = message }.ToJsonString();

    private static Task NotFoundAsync(HttpResponse response, string path) =>
        WriteAsync(response, 404, Status(404, "NotFound", $"\"{path}\" not found"));

    private static async Task WriteAsync(HttpResponse response, int code, string body)
    {
        response.StatusCode = code;
        response.ContentType = "application/json";
        await response.Body.WriteAsync(Encoding.UTF8.GetBytes(body));
    }
}
