using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>The kubelets of all nodes: one worker per pod that the scheduler has placed.</summary>
internal sealed class Kubelet(KubeletContext context, string sessionLabel) : IClusterComponent
{
    // Missing a moment of the engine's events must not lose an end: after each break all running containers are looked at.
    private static readonly TimeSpan Reconnect = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<string, PodWorker> workers = [];
    private readonly ConcurrentDictionary<string, Task> running = [];

    /// <summary>The worker of a pod, or null.</summary>
    public PodWorker? Find(string uid) => workers.GetValueOrDefault(uid);

    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var feed = new ClusterFeed(api, context.Time);
        feed.On(Kinds.Pods, (pod, gone) =>
        {
            lock (workers)
                OnPod(pod, gone, cancel);
        });
        feed.On(Kinds.ConfigMaps, (map, _) => WakeAll(map));
        feed.On(Kinds.Secrets, (secret, _) => WakeAll(secret));
        feed.On(Kinds.ServiceAccounts, (account, _) => WakeAll(account));
        feed.On(Kinds.PersistentVolumeClaims, (claim, _) => WakeAll(claim));
        feed.On(Kinds.Nodes, (node, gone) =>
        {
            // Pods may have been bound to it before it came. Under the lock, so that none of them goes unseen in between.
            lock (workers)
            {
                foreach (var pod in gone
                    ? []
                    : api
                        .List(Kinds.Pods).Items
                        .Where(p => p.Str("spec", "nodeName") == node.Name() && !workers.ContainsKey(p.Uid())))
                    OnPod(pod, gone: false, cancel);
            }
        });
        api.Pods = new PodAccess(context, this);
        try
        {
            await Task.WhenAll(feed.RunAsync(cancel), FollowEngineAsync(cancel)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops; the engine is cleaned by whoever opened it.
        }

        await Task.WhenAll(running.Values).ConfigureAwait(false);
    }

    private void OnPod(JsonObject pod, bool gone, CancellationToken cancel)
    {
        var uid = pod.Uid();
        if (workers.TryGetValue(uid, out var worker))
        {
            if (gone)
                worker.Vanish();
            else
                worker.Update(pod);
            return;
        }

        if (gone || pod.Str("spec", "nodeName") is not { Length: > 0 } node || context.Api.Get(Kinds.Nodes, null, node) is null)
            return;
        var made = new PodWorker(context, pod);
        workers[uid] = made;
        running[uid] = Task.Run(() => WorkAsync(uid, made, cancel), CancellationToken.None);
    }

    private async Task WorkAsync(string uid, PodWorker worker, CancellationToken cancel)
    {
        try
        {
            await worker.RunAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            context.Report($"kubelet: the worker of pod {uid} ended: {e}");
        }
        finally
        {
            workers.TryRemove(uid, out _);
            running.TryRemove(uid, out _);
            worker.Dispose();
        }
    }

    private void WakeAll(JsonObject changed)
    {
        foreach (var worker in workers.Values)
        {
            if (worker.Namespace == changed.Namespace())
                worker.Wake();
        }
    }

    private async Task FollowEngineAsync(CancellationToken cancel)
    {
        var since = context.Time.GetUtcNow();
        while (true)
        {
            try
            {
                await foreach (var happened in context.Runtime.WatchAsync(sessionLabel, since, cancel).ConfigureAwait(false))
                {
                    if (happened.Action == "die" && happened.Labels.TryGetValue(KubeletContext.PodLabel, out var uid))
                        Find(uid)?.Ended(happened.Id);
                }
            }
            catch (Exception e) when (e is RuntimeRefusalException or Hosting.UnavailableException)
            {
                context.Report($"kubelet: {e.Message}");
            }

            await Task.Delay(Reconnect, context.Time, cancel).ConfigureAwait(false);
            // The look finds what ended before this moment, the stream what ends after it.
            since = context.Time.GetUtcNow();
            foreach (var worker in workers.Values)
                worker.LookAgain();
        }
    }
}
