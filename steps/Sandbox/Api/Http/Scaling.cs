using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>How a kind's object appears as a Scale.</summary>
internal sealed class Scaling
{
    private readonly string[] specPath;
    private readonly string[] statusPath;
    private readonly string[]? selectorPath;

    private Scaling(string[] specPath, string[] statusPath, string[]? selectorPath)
    {
        this.specPath = specPath;
        this.statusPath = statusPath;
        this.selectorPath = selectorPath;
    }

    public static Scaling Of(ResourceType type)
    {
        if (type.Custom?.Scale is not { } scale)
            return new Scaling(["spec", "replicas"], ["status", "replicas"], null);
        static string[] Path(string text) => text.Split('.', StringSplitOptions.RemoveEmptyEntries);
        return new Scaling(Path(scale.Str("specReplicasPath") ?? ""), Path(scale.Str("statusReplicasPath") ?? ""),
            scale.Str("labelSelectorPath") is { Length: > 0 } selector ? Path(selector) : []);
    }

    public JsonObject Read(JsonObject obj)
    {
        var scale = new JsonObject { ["kind"] = "Scale", ["apiVersion"] = "autoscaling/v1" };
        var metadata = new JsonObject();
        foreach (var field in new[] { "name", "namespace", "uid", "resourceVersion", "creationTimestamp" })
        {
            if (obj.At("metadata", field) is { } value)
                metadata[field] = value.DeepClone();
        }
        scale["metadata"] = metadata;
        var replicas = obj.Num(specPath);
        if (replicas is null && selectorPath is not null)
        {
            // A custom object that does not say how many it wants has no scale to show.
            var why = $"the spec replicas field \".{string.Join('.', specPath)}\" does not exist";
            throw new ApiException(
                500, "InternalError", "Internal error occurred: " + why)
            { Causes = [new StatusCause("", why, "")] };
        }
        scale["spec"] = new JsonObject { ["replicas"] = replicas ?? 0 };
        var status = new JsonObject { ["replicas"] = obj.Num(statusPath) ?? 0 };
        var selector = selectorPath is null ? SelectorText(obj) : selectorPath.Length == 0 ? null : obj.Str(selectorPath);
        if (selector is not null)
            status["selector"] = selector;
        scale["status"] = status;
        return scale;
    }

    public void Write(JsonObject obj, long replicas) =>
        obj.Ensure(specPath.AsSpan(0, specPath.Length - 1))[specPath[^1]] = replicas;

    private static string? SelectorText(JsonObject obj) => obj.Obj("spec", "selector", "matchLabels") is { } labels
        ? string.Join(",", labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value.Str()}"))
        : null;
}
