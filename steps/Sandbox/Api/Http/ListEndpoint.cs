using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Lists, whole or in pages.</summary>
internal sealed class ListEndpoint(ClusterApi api, Pages pages)
{
    public async Task HandleAsync(
        HttpContext context, ResourceType type, string? ns, ObjectView view, LabelSelector labels, FieldSelector fields)
    {
        var query = context.Request.Query;
        var limit = Limit(query["limit"]);
        CheckMatch(query["resourceVersion"], query["resourceVersionMatch"]);
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

    private static int Limit(string? text)
    {
        if (text is not { Length: > 0 })
            return int.MaxValue;
        if (!long.TryParse(text, out var limit))
            throw ApiException.BadRequest($"strconv.ParseInt: parsing \"{text}\": invalid syntax");
        return limit is > 0 and < int.MaxValue ? (int)limit : int.MaxValue;
    }

    private static void CheckMatch(string? version, string? match)
    {
        if (match is not { Length: > 0 })
            return;
        static ApiException Forbidden(string why) =>
            ApiException.InvalidOptions("ListOptions", "FieldValueForbidden", "resourceVersionMatch", "Forbidden: " + why);
        if (version is not { Length: > 0 })
            throw Forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
        if (match is not ("Exact" or "NotOlderThan"))
        {
            throw ApiException.InvalidOptions("ListOptions", "FieldValueNotSupported", "resourceVersionMatch",
                $"Unsupported value: \"{match}\": supported values: \"Exact\", \"NotOlderThan\", \"\"");
        }
        if (match == "Exact" && version == "0")
            throw Forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }

    internal static void CheckVersion(string? version, string? match, long revision)
    {
        if (version is not { Length: > 0 })
            return;
        if (!long.TryParse(version, out var wanted) || wanted < 0)
            throw ApiException.BadRequest($"invalid resource version \"{version}\"");
        if (wanted > revision)
        {
            throw new ApiException(504, "Timeout", $"Timeout: Too large resource version: {wanted}, current: {revision}")
            {
                RetryAfterSeconds = 1,
                Causes = [new StatusCause("ResourceVersionTooLarge", "Too large resource version", "")],
            };
        }
        if (match == "Exact" && wanted != revision && wanted != 0)
            throw ApiException.Expired($"The resourceVersion for the provided list is too old: {wanted}");
    }
}
