using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;

namespace CiSteps.Testbeds.Pool;

/// <summary>All objects of one kind as a watch tells them, own writes included at once.</summary>
internal sealed class KindCache(Action changed)
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, JsonObject> items = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource synced = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Done once everything that exists has been seen.</summary>
    public Task Synced => synced.Task;

    /// <summary>Everything, frozen: nobody changes what is in here.</summary>
    public IReadOnlyList<JsonObject> All()
    {
        lock (gate) return [.. items.Values];
    }

    public JsonObject? Find(string name)
    {
        lock (gate) return items.GetValueOrDefault(name);
    }

    /// <summary>
    /// An object as a watch or the answer to a write gave it; an older version than the known one changes nothing.
    /// </summary>
    public void Put(JsonObject item)
    {
        lock (gate)
        {
            var name = item.Name();
            if (items.TryGetValue(name, out var known) && known.Uid() == item.Uid() && Version(known) > Version(item)) return;
            items[name] = item;
        }
        changed();
    }

    public void Remove(string name, string? uid = null)
    {
        lock (gate)
        {
            if (uid is null || items.TryGetValue(name, out var known) && known.Uid() == uid) items.Remove(name);
        }
        changed();
    }

    /// <summary>Follows a collection until stopped; a server that stays away is waited for.</summary>
    public async Task FollowAsync(Cluster cluster, string path, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                await FollowOnceAsync(cluster, path, cancel).ConfigureAwait(false);
            }
            catch (Exception error) when (error is UnavailableException or ClusterApiException && Synced.IsCompleted)
            {
                cluster.Log.Warning(
                    $"watching {path} broke off: {error.Message}; it goes on by itself when the API server is back");
                await Task.Delay(TimeSpan.FromSeconds(2), cluster.Time, cancel).ConfigureAwait(false);
            }
        }
    }

    private async Task FollowOnceAsync(Cluster cluster, string path, CancellationToken cancel)
    {
        HashSet<string>? seen = null;
        await foreach (var change in cluster.WatchAsync(path, null, null, cancel).ConfigureAwait(false))
        {
            switch (change.Kind)
            {
                case ChangeKind.Relisting:
                    seen = new(StringComparer.Ordinal);
                    break;
                case ChangeKind.Present:
                    seen?.Add(change.Item.Name());
                    Put(change.Item);
                    break;
                case ChangeKind.Gone:
                    Remove(change.Item.Name(), change.Item.Uid());
                    break;
                case ChangeKind.Synced:
                    Keep(seen ?? []);
                    seen = null;
                    synced.TrySetResult();
                    changed();
                    break;
            }
        }
    }

    private void Keep(HashSet<string> seen)
    {
        lock (gate)
            foreach (var name in items.Keys.Where(name => !seen.Contains(name)).ToList()) items.Remove(name);
    }

    // Versions are opaque by the letter and rising numbers on every server there is; what is not a number counts as new.
    private static long Version(JsonObject item) =>
        long.TryParse(item.Text("metadata", "resourceVersion"), out var version) ? version : long.MaxValue;
}
