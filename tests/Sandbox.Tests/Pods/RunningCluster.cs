using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>
/// A whole cluster in this process on the real engine, without the HTTP front: the API's objects, controllers, scheduler,
/// kubelet, router.
/// </summary>
internal sealed class RunningCluster : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    // A pod's specification where only its being there matters.
    private const string Sleeper =
        """
        {"terminationGracePeriodSeconds":0,
         "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent","command":["sleep","1000"]}]}
        """;

    private readonly CancellationTokenSource stop = new();
    private readonly LocalEngine engine;
    private readonly PodHost host;
    private readonly Task running;

    private RunningCluster(LocalEngine engine, PodHost host, string image)
    {
        this.engine = engine;
        this.host = host;
        Image = image;
        Api = new ClusterApi(new ClusterApiOptions { ServiceIpPrefix = host.ServiceIpPrefix });
        IEnumerable<IClusterComponent> components = [
            .. ClusterApi.CreateComponents(),
            new ControllerSet(TimeProvider.System, Report, "no certificate, only a file"),
            .. host.Components
        ];
        running = Task.WhenAll(components.Select(c => Task.Run(() => RunAsync(c))));
    }

    public ClusterApi Api { get; }

    /// <summary>An image with a shell and the usual tools.</summary>
    public string Image { get; }

    public LocalEngine Engine => engine;

    /// <summary>What the components reported; a healthy run reports nothing.</summary>
    public List<string> Reports { get; } = [];

    public static async Task<RunningCluster> StartAsync(IReadOnlyList<SandboxNode>? nodes = null)
    {
        var engine = await LocalEngine.OpenAsync();
        var image = await engine.MakeBaseImageAsync();
        var host = await PodHost.OpenAsync(new()
        {
            Cluster = "tests",
            Nodes = nodes ?? [new("node-1")],
            Report = line => TestContext.Progress.WriteLine(line)
        });
        return new(engine, host, image.ToString());
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running;
        await host.DisposeAsync();
        await engine.DisposeAsync();
        stop.Dispose();
    }

    /// <summary>Creates an object from JSON in which IMAGE stands for the image.</summary>
    public JsonObject Create(ResourceType type, string json, string ns = "default") =>
        Api.Create(
            type, ns, Addressed(type, (JsonObject)JsonNode.Parse(json.Replace("SLEEPER", Sleeper).Replace("IMAGE", Image))!));

    private int addresses = 20;

    private JsonObject Addressed(ResourceType type, JsonObject obj)
    {
        if (type == Kinds.Services && obj.Str("spec", "clusterIP") is null)
            obj.Obj("spec")!["clusterIP"] = host.ServiceIpPrefix + Interlocked.Increment(ref addresses);
        return obj;
    }

    /// <summary>Changes an object until nobody else interferes.</summary>
    public JsonObject Change(ResourceType type, string name, Action<JsonObject> change, string ns = "default")
    {
        while (true)
        {
            var obj = Api.Get(type, ns, name)!;
            change(obj);
            try
            {
                return Api.Update(type, obj);
            }
            catch (ApiException e) when (e.Code == 409)
            {
                // A controller was faster.
            }
        }
    }

    /// <summary>The object as soon as it fulfils the condition.</summary>
    public async Task<JsonObject> UntilAsync(
        ResourceType type, string name, Func<JsonObject, bool> condition, string ns = "default", TimeSpan? patience = null)
    {
        using var limit = new CancellationTokenSource(patience ?? Patience);
        JsonObject? last = null;
        try
        {
            await foreach (var change in Api.WatchAsync(type, ns, 0, limit.Token))
            {
                if (change.Object.Name() != name || change.Type == WatchEventType.Deleted)
                    continue;
                last = change.Object;
                if (condition(last))
                    return last;
            }
        }
        catch (OperationCanceledException)
        {
            // Told below.
        }

        var events = string.Join(
            '\n',
            Api
                .List(Kinds.Events, ns).Items
                .Select(
                    e => $"{e.Str("involvedObject", "kind")}/{e.Str("involvedObject", "name")} {e.Str("reason")}: " +
                        $"{e.Str("message")}"));
        throw new AssertionException($"{type} '{name}' did not get there; last state:\n{last?["status"]}\nevents:\n{events}");
    }

    /// <summary>Returns when such an event has been written.</summary>
    public async Task UntilEventAsync(Func<JsonObject, bool> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        await foreach (var change in Api.WatchAsync(Kinds.Events, "default", 0, limit.Token))
        {
            if (condition(change.Object))
                return;
        }
    }

    public async Task UntilGoneAsync(ResourceType type, string name, string ns = "default")
    {
        using var limit = new CancellationTokenSource(Patience);
        var list = Api.List(type, ns);
        if (list.Items.All(i => i.Name() != name))
            return;
        await foreach (var change in Api.WatchAsync(type, ns, list.ResourceVersion, limit.Token))
        {
            if (change.Object.Name() == name && change.Type == WatchEventType.Deleted)
                return;
        }
    }

    public Task<JsonObject> UntilReadyAsync(string pod, string ns = "default") =>
        UntilAsync(Kinds.Pods, pod, p => p.Obj("status").IsTrue("Ready"), ns);

    public async Task<string> LogAsync(string pod, LogQuery? query = null, string ns = "default")
    {
        using var output = new MemoryStream();
        await Api.Pods!.LogsAsync(ns, pod, query ?? new(), output, CancellationToken.None);
        return Encoding.UTF8.GetString(output.ToArray());
    }

    /// <summary>Runs a command in a pod; its output with the exit code behind it.</summary>
    public async Task<(int Code, string Output)> ExecAsync(string pod, params string[] command)
    {
        var streams = new Streams();
        var code = await Api.Pods!.ExecAsync(
            "default", pod, new(null, command, Stdin: false, Tty: false), streams, CancellationToken.None);
        return (code, Encoding.UTF8.GetString(streams.Text.ToArray()));
    }

    public IReadOnlyList<string> EventsOf(string name) =>
        [.. Api.List(Kinds.Events, "default").Items
            .Where(e => e.Str("involvedObject", "name") == name)
            .Select(e => $"{e.Str("reason")}: {e.Str("message")}")];

    public IReadOnlyList<JsonObject> PodsOf(string app) =>
        Api.List(Kinds.Pods, "default", LabelSelector.Of([new("app", app)])).Items;

    private void Report(string line)
    {
        lock (Reports)
            Reports.Add(line);
        TestContext.Progress.WriteLine(line);
    }

    private async Task RunAsync(IClusterComponent component)
    {
        try
        {
            await component.RunAsync(Api, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The test is over.
        }
        catch (Exception e)
        {
            Report($"{component.GetType().Name} ended: {e}");
        }
    }

    private sealed class Streams : IExecStreams
    {
        public MemoryStream Text { get; } = new();
        public Stream? Input => null;
        public Stream Output => Text;
        public Stream Error => Text;
        public async IAsyncEnumerable<(int Columns, int Rows)> Sizes_()
        {
            await Task.CompletedTask;
            yield break;
        }

        public IAsyncEnumerable<(int Columns, int Rows)> Sizes => Sizes_();
    }
}
