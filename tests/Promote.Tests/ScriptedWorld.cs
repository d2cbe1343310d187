using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote.Tests;

/// <summary>A process that ended there and then: nothing after it happens.</summary>
internal sealed class KilledException() : Exception("killed");

/// <summary>
/// A registry and a production cluster that keep what is written to them, in memory, and answer as they are told: each call can
/// be
/// made to fail, before or after it did its work.
/// </summary>
internal sealed class ScriptedWorld : IImages, IProduction
{
    public const string New = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    public const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    public const string Repository = "registry.example/greeter";

    private readonly HashSet<string> held = [];
    private bool dead;

    /// <summary>Tags of the one repository.</summary>
    public Dictionary<string, string> Tags { get; } = new(StringComparer.Ordinal) { ["1-production"] = New, ["latest"] = New };

    /// <summary>Commits that images say they were built from.</summary>
    public Dictionary<string, string> Commits { get; } = [];

    /// <summary>Images that were applied.</summary>
    public List<string> Applied { get; } = [];

    /// <summary>What runs, by namespace.</summary>
    public Dictionary<string, LiveWorkload> Live { get; } = [];

    /// <summary>The histories, by namespace; newest first.</summary>
    public Dictionary<string, List<HistoryEntry>> Histories { get; } = [];

    /// <summary>All calls, writes in capitals.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>Called with number (from 1) and name of each call, before it does its work; throws to break it.</summary>
    public Action<int, string> Before { get; set; } = (_, _) => { };

    /// <summary>The same after it did its work.</summary>
    public Action<int, string> After { get; set; } = (_, _) => { };

    /// <summary>How the roll-out of a digest fails; null when it does not.</summary>
    public Func<string, string, StepFailure?> Fails { get; set; } = (_, _) => null;

    /// <summary>What the gate answers, by namespace.</summary>
    public Func<string, GateAnswer> Gate { get; set; } = _ => GateAnswer.Healthy;

    /// <summary>What breaks while it is watched, by namespace; null when nothing does.</summary>
    public Func<string, StepFailure?> Breaks { get; set; } = _ => null;

    /// <summary>Why an apply is denied.</summary>
    public Func<string, StepFailure?> Denies { get; set; } = _ => null;

    public Ports World => new((_, _) => this, (_, _, _, _) => Task.FromResult<IProduction>(this));

    public IReadOnlyList<string> Writes => [.. Calls.Where(call => char.IsUpper(call[0]))];

    public static ScriptedWorld Running(string digest, params string[] namespaces)
    {
        var world = new ScriptedWorld();
        foreach (var ns in namespaces) world.Live[ns] = new LiveWorkload(digest, digest, "earlier");
        return world;
    }

    /// <summary>What a process that was killed leaves behind: no holder renews its leases.</summary>
    public void Revive()
    {
        dead = false;
        held.Clear();
        (Before, After) = ((_, _) => { }, (_, _) => { });
    }

    /// <summary>All that is outside, as text.</summary>
    public string State => string.Join("\n", Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal)
        .Select(tag => $"{tag.Key}={tag.Value[..9]}")
        .Concat(Live.OrderBy(live => live.Key, StringComparer.Ordinal)
            .Select(live => $"{live.Key} runs {live.Value.Digest![..9]}"))
        .Concat(Histories.OrderBy(history => history.Key, StringComparer.Ordinal).Select(history =>
            $"{history.Key}: {string.Join(
                ", ",
                history.Value.Select(
                    entry => $"{entry.Result} {(entry.Digest.Length > 8 ? entry.Digest[..9] : "nothing")}"))}")));

    public Task<string?> FindDigestAsync(ImageReference image, CancellationToken cancel) =>
        DoAsync("digest", () => Tags.GetValueOrDefault(image.Tag!), cancel);

    public Task<IReadOnlyCollection<string>> DigestsOfAsync(ImageReference image, CancellationToken cancel) =>
        DoAsync<IReadOnlyCollection<string>>("digests", () => [image.Digest!], cancel);

    public Task<string?> CommitOfAsync(ImageReference image, CancellationToken cancel) =>
        DoAsync("commit", () => Commits.GetValueOrDefault(image.Digest!), cancel);

    public Task<bool> TagAsync(ImageReference tag, string digest, string? expected, CancellationToken cancel) =>
        DoAsync($"TAG {Short(tag.Tag!)} {Short(digest)}", () =>
    {
        if (Tags.GetValueOrDefault(tag.Tag!) is { } now && now != expected && now != digest) return false;
        Tags[tag.Tag!] = digest;
        return true;
    }, cancel);

    public Task<string?> UntagAsync(ImageReference tag, string expected, CancellationToken cancel) =>
        DoAsync<string?>($"UNTAG {Short(tag.Tag!)}", () =>
    {
        if (Tags.GetValueOrDefault(tag.Tag!) == expected) Tags.Remove(tag.Tag!);
        return null;
    }, cancel);

    public async Task<IHold> HoldAsync(Destination place, string holder, TimeSpan duration, CancellationToken cancel) =>
        await DoAsync($"hold {place.Target.Namespace}", () =>
        held.Add(place.Target.Namespace) ? new Held(this, place.Target.Namespace)
            : throw new UnavailableException("target-held", "build 6 is promoting there"), cancel);

    /// <summary>Rights that the user does not have.</summary>
    public List<string> Lack { get; } = [];

    public Task<IReadOnlyList<string>> LackAsync(Destination place, CancellationToken cancel) =>
        DoAsync<IReadOnlyList<string>>($"rights {place.Target.Namespace}", () => Lack, cancel);

    public Task<LiveWorkload?> FindAsync(WorkloadDefinition workload, string ns, CancellationToken cancel) =>
        DoAsync($"find {ns}", () => Live.GetValueOrDefault(ns), cancel);

    public Task<string?> LookAsync(RolloutTarget target, CancellationToken cancel) =>
        DoAsync($"look {target.Namespace}", () => Fails(target.Namespace, Live[target.Namespace].Digest!)?.Text, cancel);

    public Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel)
    {
        var ns = manifests.Items.First(item => item.Kind == "Deployment").Namespace!;
        return DoAsync($"snapshot {ns}", () => Live.TryGetValue(ns, out var live)
            ? manifests.WithImage("Deployment", "greeter", "greeter", $"{Repository}@{live.Digest}") : ManifestSet.Empty, cancel);
    }

    public Task<StepFailure?> ApplyAsync(ManifestSet manifests, TimeSpan jobLimit, CancellationToken cancel)
    {
        var deployment = manifests.Items.First(item => item.Kind == "Deployment");
        var image = (string)deployment.Json["spec"]!["template"]!["spec"]!["containers"]![0]!["image"]!;
        var (digest, notes) = (image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..],
            deployment.Json["metadata"]!["annotations"]!);
        return DoAsync($"APPLY {deployment.Namespace} {Short(digest)}", () =>
        {
            if (Denies(digest) is { } denied) return denied;
            Applied.Add(image);
            Live[deployment.Namespace!] = new LiveWorkload(digest, (string?)notes[Annotations.Digest],
                (string?)notes[Annotations.Manifests]);
            return null;
        }, cancel);
    }

    public Task RemoveAsync(WorkloadDefinition workload, string ns, CancellationToken cancel) =>
        DoAsync($"REMOVE {ns}", () => Live.Remove(ns), cancel);

    public Task<RolloutResult> RollOutAsync(RolloutTarget target, CancellationToken cancel) =>
        DoAsync($"roll {target.Namespace}", () =>
        new RolloutResult(Fails(target.Namespace, Live[target.Namespace].Digest!), ["pod"], Live[target.Namespace].Digest),
            cancel);

    public async Task<StepFailure> GuardAsync(RolloutTarget target, CancellationToken cancel)
    {
        if (Breaks(target.Namespace) is { } broken) return broken;
        await Task.Delay(Timeout.InfiniteTimeSpan, cancel);
        throw new InvalidOperationException("it waits without end");
    }

    public Task<GateAnswer> AskAsync(GateDefinition gate, string ns, CancellationToken cancel) =>
        DoAsync($"ask {ns}", () => Gate(ns), cancel);

    public Task<IReadOnlyList<HistoryEntry>> HistoryAsync(string ns, string component, CancellationToken cancel) =>
        DoAsync<IReadOnlyList<HistoryEntry>>($"history {ns}", () => [.. Histories.GetValueOrDefault(ns) ?? []], cancel);

    public Task RecordAsync(string ns, string component, HistoryEntry entry, CancellationToken cancel) =>
        DoAsync($"RECORD {ns} {entry.Result}", () =>
    {
        if (!Histories.TryGetValue(ns, out var entries)) Histories[ns] = entries = [];
        if (entries.Count > 0 && entries[0].IsUnderWay) entries.RemoveAt(0);
        entries.Insert(0, entry);
        return true;
    }, cancel);

    public Task DiagnoseAsync(string ns, string folder, CancellationToken cancel) => DoAsync($"diagnose {ns}", () => true,
        cancel);

    public void Dispose()
    {
    }

    private Task<T> DoAsync<T>(string what, Func<T> answer, CancellationToken cancel)
    {
        if (dead) throw new KilledException();
        cancel.ThrowIfCancellationRequested();
        Calls.Add(what);
        var at = Calls.Count;
        try
        {
            Before(at, what);
            cancel.ThrowIfCancellationRequested();
            var said = answer();
            After(at, what);
            return Task.FromResult(said);
        }
        catch (KilledException)
        {
            dead = true;
            throw;
        }
    }

    private static string Short(string text) => text.Length > 9 ? text[..9] : text;

    private sealed class Held(ScriptedWorld world, string ns) : IHold
    {
        public CancellationToken Lost => CancellationToken.None;

        public ValueTask DisposeAsync()
        {
            if (!world.dead) world.held.Remove(ns);
            return ValueTask.CompletedTask;
        }
    }
}
