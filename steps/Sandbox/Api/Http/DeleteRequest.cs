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
        var orphan = body.At("orphanDependents") is { } o ? o.Flag() : query.ContainsKey("orphanDependents") ? ApiRequest.IsTrue(query["orphanDependents"]) : (bool?)null;
        if (policy is not null && orphan is not null)
            throw Invalid("propagationPolicy", $"Invalid value: \"{policy}\": orphanDependents and deletionPropagation cannot be both set");
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
                _ => throw Invalid("propagationPolicy", $"Unsupported value: \"{policy}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""),
            },
            PreconditionUid = body.Str("preconditions", "uid"),
            PreconditionResourceVersion = body.Str("preconditions", "resourceVersion"),
            DryRun = body.Strs("dryRun").Contains("All") || query["dryRun"] == "All",
        };
    }

    private static ApiException Invalid(string field, string why) =>
        new(422, "Invalid", $"DeleteOptions.meta.k8s.io \"\" is invalid: {field}: {why}") { Causes = [new StatusCause("FieldValueInvalid", why, field)] };
}
