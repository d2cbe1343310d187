using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>What becomes of fields that a kind does not have: refused, dropped with a warning, or dropped.</summary>
internal sealed class FieldValidation
{
    private readonly string mode;

    private FieldValidation(string mode) => this.mode = mode;

    public static FieldValidation From(HttpContext context)
    {
        var mode = context.Request.Query["fieldValidation"].ToString();
        return mode is "" or "Warn" or "Strict" or "Ignore"
            ? new FieldValidation(mode)
            : throw new ApiException(422, "Invalid",
                $"CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"{mode}\": supported values: " +
                "\"Ignore\", \"Strict\", \"Warn\"");
    }

    public void Check(HttpContext context, ClusterApi api, ResourceType type, JsonObject obj)
    {
        var unknown = FieldCheck.Apply(type, type.Schema, obj);
        if (unknown.Count == 0 || mode == "Ignore")
            return;
        var messages = unknown.Select(u => $"unknown field \"{u.Path}\"").ToList();
        if (mode == "Strict")
            throw ApiException.BadRequest(
                $"{type.Kind} in version \"{type.Version}\" cannot be handled as a {type.Kind}: strict decoding error: " +
                $"{string.Join(", ", messages)}");
        foreach (var message in messages)
            context.Warn(message);
    }

    /// <summary>
    /// Server-side apply cannot own what a kind does not have: it refuses such a field whatever the client asked for.
    /// </summary>
    public static void CheckApplied(ResourceType type, JsonObject config)
    {
        var name = $"{config.Str("metadata", "namespace")}/{config.Str("metadata", "name")}";
        var unknown = FieldCheck.Apply(type, type.Schema, config)
            .Select(u => $"{u.TypedPath}: field not declared in schema")
            .ToList();
        if (unknown.Count == 0)
            return;
        var why = unknown.Count == 1 ? unknown[0] : "errors:\n" + string.Concat(unknown.Select(one => $"  {one}\n"));
        // A real server answers this with 500 and no reason, although the manifest is at fault.
        throw new ApiException(500, "",
            $"failed to create typed patch object ({name}; {type.Group}/{type.Version}, Kind={type.Kind}): {why}");
    }
}
