using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Lists, whole or in pages.</summary>
internal sealed class ListEndpoint(ClusterApi api, Pages pages)
{
    public async Task HandleAsync(HttpContext context, ResourceType type, string? ns, ObjectView view, LabelSelector labels, FieldSelector fields)
    {
        var query = context.Request.Query;
        var limit = int.TryParse(query["limit"], out var l) && l > 0 ? l : int.MaxValue;
        Pages.Snapshot snapshot;
        string? id = null;
        var offset = 0;
        if (query["continue"].ToString() is { Length: > 0 } token)
        {
            (id, snapshot, offset) = pages.Find(token);
        }
        else
        {
            List<StoredObject> all;
            long revision;
            lock (api.Store.Gate)
            {
                all = api.Store.List(type.StorageKey, ns);
                revision = api.Store.Revision;
            }
            CheckVersion(query["resourceVersion"], query["resourceVersionMatch"], revision);
            snapshot = new Pages.Snapshot(
                labels.IsEmpty && fields.IsEmpty ? all : [.. all.Where(o => labels.Matches(o.Labels) && fields.Matches(o))],
                revision, api.Time.GetUtcNow());
        }
        var page = offset == 0 && limit >= snapshot.Items.Count ? snapshot.Items : [.. snapshot.Items.Skip(offset).Take(limit)];
        var end = offset + page.Count;
        var left = snapshot.Items.Count - end;
        var next = left > 0 ? pages.Keep(snapshot, id, end) : null;
        // The count of what remains is only told where no selector hides part of it.
        int? remaining = left > 0 && labels.IsEmpty && fields.IsEmpty ? left : null;
        await context.JsonAsync(200, view.List(page, snapshot.Revision, next, remaining)).ConfigureAwait(false);
    }

    internal static void CheckVersion(string? version, string? match, long revision)
    {
        if (version is not { Length: > 0 })
            return;
        if (!long.TryParse(version, out var wanted) || wanted < 0)
            throw ApiException.BadRequest($"invalid resource version \"{version}\"");
        if (wanted > revision)
        {
            throw new ApiException(504, "Timeout", $"Too large resource version: {wanted}, current: {revision}")
            {
                RetryAfterSeconds = 1, Causes = [new StatusCause("ResourceVersionTooLarge", "Too large resource version", "")],
            };
        }
        if (match == "Exact" && wanted != revision && wanted != 0)
            throw ApiException.Expired($"The resourceVersion for the provided list is too old: {wanted}");
    }
}
