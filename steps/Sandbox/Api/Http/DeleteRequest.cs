using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Reads how to delete from the body, or from the query as old clients say it.</summary>
internal static class DeleteRequest
{
    public static DeleteOptions Read(HttpContext context, JsonObject? body)
    {
        var query = context.Request.Query;
        var policy = body.Str("propagationPolicy") ?? (query["propagationPolicy"].ToString() is { Length: > 0 } q ? q : null);
        var orphan = body.At("orphanDependents") is { } o
            ? o.Flag()
            : query.ContainsKey("orphanDependents") ? ApiRequest.IsTrue(query["orphanDependents"]) : (bool?)null;
        if (policy is not null && orphan is not null)
            throw ApiException.InvalidOptions("DeleteOptions", "FieldValueInvalid", "propagationPolicy",
                $"Invalid value: \"{policy}\": orphanDependents and deletionPropagation cannot be both set");
        var grace = body.Num("gracePeriodSeconds") ?? (long.TryParse(query["gracePeriodSeconds"], out var g) ? g : null);
        return new DeleteOptions
        {
            GracePeriodSeconds = grace < 0 ? 1 : grace,
            Propagation = (policy, orphan) switch
            {
                ("Background", _) => Propagation.Background,
                ("Foreground", _) => Propagation.Foreground,
                ("Orphan", _) => Propagation.Orphan,
                (null, true) => Propagation.Orphan,
                (null, false) => Propagation.Background,
                (null, null) => null,
                _ => throw ApiException.InvalidOptions("DeleteOptions", "FieldValueNotSupported", "propagationPolicy",
                    $"Unsupported value: \"{policy}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""),
            },
            PreconditionUid = body.Str("preconditions", "uid"),
            PreconditionResourceVersion = body.Str("preconditions", "resourceVersion"),
            DryRun = DryRun("DeleteOptions", [.. body.Strs("dryRun"), .. query["dryRun"]]),
        };
    }

    /// <summary>Whether a request only tries; the only way to say so is <c>All</c>.</summary>
    public static bool DryRun(string options, IReadOnlyList<string?> values)
    {
        var said = values.Where(v => v is { Length: > 0 }).ToList();
        return said.All(v => v == "All")
            ? said.Count > 0
            : throw ApiException.InvalidOptions(options, "FieldValueNotSupported", "dryRun",
                $"Unsupported value: [{string.Join(",", said.Select(v => $"\"{v}\""))}]: supported values: \"All\"");
    }
}
