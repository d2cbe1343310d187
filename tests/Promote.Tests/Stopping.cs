using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

/// <summary>A production cluster during whose nth call the build is stopped; it obeys a stop at once, as the real one
/// does.</summary>
internal sealed class Stopping(int at, CancellationTokenSource stop) : IProduction
{
    private int calls;

    /// <summary>What it was asked to do and did.</summary>
    public List<string> Done { get; } = [];

    /// <summary>The digest behind the workload.</summary>
    public string Live { get; private set; } = "";

    public static Stopping StartingWith(string digest, int at, CancellationTokenSource stop) => new(at, stop) { Live = digest };

    public Task<LiveWorkload?> FindAsync(WorkloadDefinition workload, string ns, CancellationToken cancel) =>
        DoAsync<LiveWorkload?>("find", () => new LiveWorkload(Live, Live, "earlier"), cancel);

    public Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel) =>
        DoAsync("snapshot", () => manifests.WithImage("Deployment", "greeter", "greeter", $"registry.example/greeter@{Live}"),
            cancel);

    public Task<StepFailure?> ApplyAsync(ManifestSet manifests, CancellationToken cancel)
    {
        var image = (string)manifests.Items.First(item =>
            item.Kind == "Deployment").Json["spec"]!["template"]!["spec"]!["containers"]![0]!["image"]!;
        return DoAsync<StepFailure?>("apply", () =>
        {
            Live = image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..];
            return null;
        }, cancel);
    }

    public Task<RolloutResult> RollOutAsync(RolloutTarget target, CancellationToken cancel) =>
        DoAsync("roll", () => new RolloutResult(null, ["pod"], target.Digests.First()), cancel);

    public Task<string?> AskAsync(GateDefinition gate, string ns, CancellationToken cancel) =>
        DoAsync<string?>("ask", () => null, cancel);

    public Task<IReadOnlyList<HistoryEntry>> HistoryAsync(string ns, string component, CancellationToken cancel) =>
        DoAsync<IReadOnlyList<HistoryEntry>>("history", () => [], cancel);

    public Task RecordAsync(string ns, string component, HistoryEntry entry, CancellationToken cancel) =>
        DoAsync($"record {entry.Result}", () => true, cancel);

    public Task DiagnoseAsync(string ns, string folder, CancellationToken cancel) => DoAsync("diagnose", () => true, cancel);

    public void Dispose()
    {
    }

    private Task<T> DoAsync<T>(string what, Func<T> answer, CancellationToken cancel)
    {
        if (++calls == at) stop.Cancel();
        cancel.ThrowIfCancellationRequested();
        Done.Add(what);
        return Task.FromResult(answer());
    }
}
