using System.Buffers;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Watches: changes as they happen, one JSON document per line.</summary>
internal sealed class WatchEndpoint(ClusterApi api)
{
    private static readonly TimeSpan BookmarkInterval = TimeSpan.FromSeconds(30);

    public async Task HandleAsync(
        HttpContext context,
        ResourceType type,
        string? ns,
        ObjectView view,
        LabelSelector labels,
        FieldSelector fields,
        CancellationToken stop)
    {
        var query = context.Request.Query;
        var bookmarks = ApiRequest.IsTrue(query["allowWatchBookmarks"]);
        var sendInitial = ApiRequest.IsTrue(query["sendInitialEvents"]);
        if (sendInitial && (!bookmarks || query["resourceVersionMatch"] != "NotOlderThan"))
        {
            throw new ApiException(422, "Invalid",
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: " +
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan and allowWatchBookmarks");
        }
        var seconds = int.TryParse(query["timeoutSeconds"], out var s) && s > 0 ? s : 1800 + Random.Shared.Next(1800);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stop);
        var deadline = api.Time.GetUtcNow().AddSeconds(seconds);
        var given = query["resourceVersion"].ToString();
        if (!long.TryParse(given.Length == 0 ? "0" : given, out var position) || position < 0)
            throw ApiException.BadRequest($"invalid resource version \"{given}\"");
        // Without a version, a watch begins with what exists; 410 as the answer itself when it is too old already.
        var writer = new EventWriter(context);
        var initial = position == 0 || sendInitial;
        bool Selected(StoredObject o) => labels.Matches(o.Labels) && fields.Matches(o);
        if (initial)
        {
            List<StoredObject> existing;
            lock (api.Store.Gate)
            {
                ListEndpoint.CheckVersion(given, null, api.Store.Revision);
                existing = query["sendInitialEvents"] == "false" ? [] : api.Store.List(type.StorageKey, ns);
                position = api.Store.Revision;
            }
            writer.Begin();
            foreach (var obj in existing.Where(Selected))
                writer.Add("ADDED", view.Single(obj));
            if (sendInitial)
                writer.Add("BOOKMARK", view.Bookmark(position, true).ToUtf8());
        }
        else
        {
            lock (api.Store.Gate)
            {
                if (api.Store.Log(type.StorageKey).After(position) is null)
                    throw ApiException.Expired(
                        $"too old resource version: {position} ({api.Store.Log(type.StorageKey).Forgotten})");
            }
            writer.Begin();
        }
        await writer.FlushAsync(ending.Token).ConfigureAwait(false);
        try
        {
            await FollowAsync(
                writer, type, ns, position, view, Selected, bookmarks, deadline, ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The client or the cluster has gone.
        }
    }

    private async Task FollowAsync(
        EventWriter writer, ResourceType type, string? ns, long position, ObjectView view, Func<StoredObject, bool> selected,
        bool bookmarks, DateTimeOffset deadline, CancellationToken cancel)
    {
        var told = position;
        while (true)
        {
            StoreEvent[]? batch;
            Task changed;
            long revision;
            lock (api.Store.Gate)
            {
                var log = api.Store.Log(type.StorageKey);
                batch = log.After(position);
                changed = log.Changed;
                revision = api.Store.Revision;
            }
            if (batch is null)
            {
                writer.Add("ERROR", ApiException.Expired($"too old resource version: {position}").ToStatus().ToUtf8());
                await writer.FlushAsync(cancel).ConfigureAwait(false);
                return;
            }
            foreach (var change in batch)
            {
                position = change.Revision;
                if (ns is null || change.Object.Namespace == ns)
                    Write(writer, view, selected, change);
            }
            if (batch.Length > 0)
            {
                await writer.FlushAsync(cancel).ConfigureAwait(false);
                continue;
            }
            var left = deadline - api.Time.GetUtcNow();
            if (left <= TimeSpan.Zero
                || await IdleAsync(changed, left < BookmarkInterval ? left : BookmarkInterval, cancel).ConfigureAwait(false))
            {
                if (bookmarks && revision > told)
                {
                    // Nothing of this kind happened up to here, so a resume need not look further back.
                    position = told = revision;
                    writer.Add("BOOKMARK", view.Bookmark(revision, false).ToUtf8());
                    await writer.FlushAsync(cancel).ConfigureAwait(false);
                }
                if (deadline <= api.Time.GetUtcNow())
                    return;
            }
        }
    }

    private static void Write(EventWriter writer, ObjectView view, Func<StoredObject, bool> selected, StoreEvent change)
    {
        // For a selector an object comes and goes with its labels, not only with its life.
        var before = change.Previous is not null && selected(change.Previous);
        var after = change.Type != WatchEventType.Deleted && selected(change.Object);
        if (after)
            writer.Add(before ? "MODIFIED" : "ADDED", view.Single(change.Object));
        else if (before)
            writer.Add("DELETED", view.Single(change.Object));
    }

    /// <summary>Waits for a change; true when none came in time.</summary>
    private async Task<bool> IdleAsync(Task changed, TimeSpan time, CancellationToken cancel)
    {
        try
        {
            await changed.WaitAsync(time, api.Time, cancel).ConfigureAwait(false);
            return false;
        }
        catch (TimeoutException)
        {
            return true;
        }
    }

    private sealed class EventWriter(HttpContext context)
    {
        private ArrayBufferWriter<byte> buffer = new();

        public void Begin()
        {
            context.Response.StatusCode = 200;
            context.Response.ContentType = "application/json";
            context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        }

        public void Add(string type, ReadOnlySpan<byte> utf8)
        {
            buffer.Write("{\"type\":\""u8);
            buffer.Write(System.Text.Encoding.ASCII.GetBytes(type));
            buffer.Write("\",\"object\":"u8);
            buffer.Write(utf8);
            buffer.Write("}\n"u8);
        }

        public async Task FlushAsync(CancellationToken cancel)
        {
            if (buffer.WrittenCount > 0)
                await context.Response.Body.WriteAsync(buffer.WrittenMemory, cancel).ConfigureAwait(false);
            await context.Response.Body.FlushAsync(cancel).ConfigureAwait(false);
            // A burst must not keep its memory for the hours of a watch.
            if (buffer.Capacity > 1 << 18)
                buffer = new ArrayBufferWriter<byte>();
            else
                buffer.ResetWrittenCount();
        }
    }
}
