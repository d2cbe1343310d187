using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>One watch per kind, shared by all who follow it. Subscribe first, then run.</summary>
internal sealed class ClusterFeed(ClusterApi api, TimeProvider time)
{
    private readonly Dictionary<ResourceType, List<Action<JsonObject, bool>>> subscribers = [];

    /// <summary>
    /// Calls <paramref name="changed"/> with every present object and every change; the flag says that it is gone. Calls for one
    /// kind never overlap.
    /// </summary>
    public void On(ResourceType type, Action<JsonObject, bool> changed)
    {
        if (!subscribers.TryGetValue(type, out var list))
            subscribers[type] = list = [];
        list.Add(changed);
    }

    public Task RunAsync(CancellationToken ct) =>
        Task.WhenAll(subscribers.Select(s => FollowAsync(s.Key, s.Value, ct)));

    private async Task FollowAsync(ResourceType type, List<Action<JsonObject, bool>> subscribers, CancellationToken ct)
    {
        // Known objects, so that what vanished while a watch was broken is still told as gone.
        var known = new Dictionary<ObjectKey, JsonObject>();
        while (!ct.IsCancellationRequested)
        {
            try
            {
                var list = api.List(type);
                var present = list.Items.ToDictionary(o => o.Key());
                foreach (var (key, lost) in known.Where(k => !present.ContainsKey(k.Key)).ToList())
                {
                    known.Remove(key);
                    Tell(subscribers, lost, gone: true);
                }

                foreach (var (key, found) in present)
                {
                    known[key] = found;
                    Tell(subscribers, found, gone: false);
                }

                await foreach (var change in api.WatchAsync(type, null, list.ResourceVersion, ct).ConfigureAwait(false))
                {
                    var gone = change.Type == WatchEventType.Deleted;
                    if (gone)
                        known.Remove(change.Object.Key());
                    else
                        known[change.Object.Key()] = change.Object;
                    Tell(subscribers, change.Object, gone);
                }
            }
            catch (ApiException)
            {
                // 410: the history we asked for is gone. List again.
                await Task.Delay(TimeSpan.FromMilliseconds(20), time, ct).ConfigureAwait(false);
            }
        }
    }

    private static void Tell(List<Action<JsonObject, bool>> subscribers, JsonObject changed, bool gone)
    {
        foreach (var subscriber in subscribers)
            subscriber(changed, gone);
    }
}
