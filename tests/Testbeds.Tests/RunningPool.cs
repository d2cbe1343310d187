using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

/// <summary>A management cluster, some testbed clusters and the pool's controller, all real over HTTPS.</summary>
internal sealed class RunningPool : IAsyncDisposable
{
    public const string Namespace = "cisteps-testbeds";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<SandboxFixture> clusters = [];
    private readonly List<(CancellationTokenSource Stop, Task Run)> controllers = [];
    private readonly List<IDisposable> connections = [];

    private RunningPool()
    {
    }

    public StringWriter Output { get; } = new();

    public Cluster Management { get; private set; } = null!;

    public SandboxFixture ManagementSandbox { get; private set; } = null!;

    /// <summary>Administrators' connections to the testbeds, by name.</summary>
    public Dictionary<string, Cluster> Beds { get; } = new(StringComparer.Ordinal);

    public PoolOptions Options { get; } = new();

    /// <summary>A pool with a class "small" of that many testbeds, all free.</summary>
    public static async Task<RunningPool> StartAsync(int beds, LeaseTimes? times = null, Action<JsonObject>? change = null)
    {
        var pool = new RunningPool();
        try
        {
            await pool.SetUpAsync(beds, times, change);
            return pool;
        }
        catch
        {
            await pool.DisposeAsync();
            throw;
        }
    }

    public int StartController()
    {
        var stop = new CancellationTokenSource();
        controllers.Add((stop, PoolController.RunAsync(Management, Options, stop.Token)));
        return controllers.Count - 1;
    }

    public async Task StopControllerAsync(int index = 0)
    {
        await controllers[index].Stop.CancelAsync();
        await controllers[index].Run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>The pool as a step sees it, over a connection of its own.</summary>
    public TestbedClaims Claims(string? kubeconfig = null, TextWriter? output = null) =>
        new(
            Cluster.Open(
                kubeconfig ?? ManagementSandbox.Kubeconfig,
                new BuildLog(output ?? Output, forServer: false),
                TimeProvider.System),
            Namespace,
            owned: true);

    public static RunIdentity Run(string build) =>
        new("https://git.example/shop.git", "ci/greeting", false, new string('a', 40), build, false);

    public static ClaimRequest Request(string build, params string[] suites) =>
        ClaimRequest.Of(Run(build), [.. suites.Select(suite => new TestbedWish(suite, "small"))]);

    public async Task<HeldTestbed> ClaimAsync(ITestbeds testbeds, string build, string suite = "smoke") =>
        (await testbeds.ClaimAsync(Request(build, suite), Patience, default))[0];

    public Cluster Connect(string kubeconfig)
    {
        var cluster = Cluster.Open(kubeconfig, new BuildLog(Output, forServer: false), TimeProvider.System);
        connections.Add(cluster);
        return cluster;
    }

    /// <summary>Waits until a testbed is in a phase.</summary>
    public async Task<Testbed> PhaseAsync(string name, TestbedPhase phase) =>
        new(await WaitAsync(
            PoolKinds.Testbed, name, item => new Testbed(item).Phase == phase, $"testbed {name} in phase {phase}"));

    public async Task<TestbedClaim> ClaimPhaseAsync(string name, ClaimPhase phase) =>
        new(await WaitAsync(
            PoolKinds.Claim, name, item => new TestbedClaim(item).Phase == phase, $"claim {name} in phase {phase}"));

    public async Task ChangeAsync(Kind kind, string name, Action<JsonObject> change)
    {
        while (true)
        {
            var item = (await Management.FindAsync(kind.Path(Namespace, name), default))!;
            change(item);
            if (await Management.TryReplaceAsync(kind, Namespace, item, default) is not null) return;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (stop, run) in controllers)
        {
            await stop.CancelAsync();
            await run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            stop.Dispose();
        }
        foreach (var connection in connections) connection.Dispose();
        foreach (var cluster in clusters) await cluster.DisposeAsync();
    }

    private async Task SetUpAsync(int beds, LeaseTimes? times, Action<JsonObject>? change)
    {
        ManagementSandbox = await SandboxFixture.StartAsync("management");
        clusters.Add(ManagementSandbox);
        Management = Connect(ManagementSandbox.Kubeconfig);
        var members = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var number = 1; number <= beds; number++)
        {
            var bed = await SandboxFixture.StartAsync($"bed-{number}");
            clusters.Add(bed);
            members[$"bed-{number}"] = bed.Kubeconfig;
            Beds[$"bed-{number}"] = Connect(bed.Kubeconfig);
        }
        await PoolInstallation.ApplyAsync(Management, Options, default);
        await PoolInstallation.PutStaticClassAsync(Management, Options, "small", members, times);
        if (change is not null) await ChangeAsync(PoolKinds.Class, "small", change);
        StartController();
        foreach (var name in members.Keys) await PhaseAsync(name, TestbedPhase.Free);
    }

    private async Task<JsonObject> WaitAsync(Kind kind, string name, Func<JsonObject, bool> isSo, string what)
    {
        using var limit = new CancellationTokenSource(Patience);
        var last = "never seen";
        try
        {
            await foreach (var change in Management.WatchAsync(kind.Collection(Namespace), null, null, limit.Token))
            {
                if (change.Kind != ChangeKind.Present || change.Item.Name() != name) continue;
                if (isSo(change.Item)) return change.Item;
                last = change.Item["status"]?.ToJsonString() ?? "no status";
            }
        }
        catch (OperationCanceledException)
        {
            // Said below.
        }
        throw new AssertionException($"{what} did not come within {Patience}; last: {last}\n{Output}");
    }
}
