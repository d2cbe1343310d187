using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Selects objects by a few fields, those that Kubernetes supports for each kind.</summary>
internal sealed class FieldSelector
{
    private static readonly Dictionary<string, string[]> Supported = new()
    {
        ["pods"] = [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
            "status.phase", "status.podIP", "status.nominatedNodeName"
        ],
        ["events"] = [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
            "reportingComponent", "source", "type"
        ],
        ["secrets"] = ["type"],
        ["namespaces"] = ["status.phase"],
        ["nodes"] = ["spec.unschedulable"],
        ["services"] = ["spec.clusterIP", "spec.type"],
        ["replicasets.apps"] = ["status.replicas"],
        ["jobs.batch"] = ["status.successful"],
    };

    private readonly List<(string Field, string Value, bool Equal)> requirements = [];

    public bool IsEmpty => requirements.Count == 0;

    public static FieldSelector Parse(ResourceType type, string? text, IReadOnlyList<string>? customFields = null)
    {
        var selector = new FieldSelector();
        foreach (var part in (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var (field, value, equal) = part.IndexOf("!=", StringComparison.Ordinal) is >= 0 and var ne
                ? (part[..ne], part[(ne + 2)..], false)
                : part.IndexOf('=', StringComparison.Ordinal) is >= 0 and var eq
                    ? (part[..eq], part[(eq + 1)..].TrimStart('='), true)
                    : throw ApiException.BadRequest($"invalid selector: '{text}'; can't understand '{part}'");
            var known = Supported.GetValueOrDefault(type.StorageKey);
            if (field is not ("metadata.name" or "metadata.namespace")
                && known?.Contains(field) != true
                && customFields?.Contains("." + field) != true)
            {
                throw ApiException.BadRequest(known is null && !type.IsCustom
                    ? $"\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    : $"field label not supported: {field}");
            }
            selector.requirements.Add((field, value, equal));
        }
        return selector;
    }

    public FieldSelector WithName(string name)
    {
        requirements.Add(("metadata.name", name, true));
        return this;
    }

    public bool Matches(StoredObject stored)
    {
        JsonObject? obj = null;
        foreach (var (field, value, equal) in requirements)
        {
            var actual = field switch
            {
                "metadata.name" => stored.Name,
                "metadata.namespace" => stored.Namespace ?? "",
                _ => Value(obj ??= stored.Copy(), field),
            };
            if ((actual == value) != equal)
                return false;
        }
        return true;
    }

    private static string Value(JsonObject obj, string field)
    {
        var node = obj.At(
            field == "source"
                ? ["source", "component"]
                : field == "status.successful" ? ["status", "succeeded"] : field.Split('.'));
        return node is null
            ? (field is "spec.unschedulable" or "spec.hostNetwork"
                ? "false"
                : field is "status.replicas" or "status.successful" ? "0" : "")
            : node.Str() ?? node.ToJsonString();
    }
}
