using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Pods from templates, and how templates are told apart.</summary>
internal static class PodTemplates
{
    // Kubernetes' alphabet for generated names: no vowels, so no words.
    private const string SafeAlphabet = "bcdfghjklmnpqrstvwxz2456789";

    /// <summary>A new pod of the template, controlled by the owner.</summary>
    public static JsonObject Instantiate(JsonObject? template, JsonObject owner, ResourceType ownerType, string? name = null)
    {
        var metadata = new JsonObject();
        if (name is not null)
            metadata["name"] = name;
        else
            metadata["generateName"] = owner.Name() + "-";
        metadata["namespace"] = owner.Namespace();
        foreach (var part in (ReadOnlySpan<string>)["labels", "annotations", "finalizers"])
        {
            if (template.At("metadata", part) is { } present)
                metadata[part] = present.DeepClone();
        }

        metadata["ownerReferences"] = Fields.ListOf([Ownership.Reference(owner, ownerType)]);
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = metadata,
            ["spec"] = template.Obj("spec")?.Copy() ?? new JsonObject(),
        };
    }

    /// <summary>
    /// Ten safe characters that name a template's content. Field order, nulls and the hash label itself do not count.
    /// </summary>
    public static string Hash(JsonNode? template, int collisions = 0)
    {
        var canonical = new StringBuilder();
        Append(canonical, template, "");
        canonical.Append('#').Append(collisions);
        var hash = 14695981039346656037UL;
        foreach (var unit in canonical.ToString())
            hash = (hash ^ unit) * 1099511628211UL;
        var safe = new char[10];
        for (var i = 0; i < safe.Length; i++)
        {
            safe[i] = SafeAlphabet[(int)(hash % (ulong)SafeAlphabet.Length)];
            hash /= (ulong)SafeAlphabet.Length;
        }

        return new string(safe);
    }

    /// <summary>Whether two templates mean the same pods.</summary>
    public static bool Same(JsonNode? one, JsonNode? other)
    {
        var first = new StringBuilder();
        var second = new StringBuilder();
        Append(first, one, "");
        Append(second, other, "");
        return first.Equals(second);
    }

    private static void Append(StringBuilder text, JsonNode? node, string path)
    {
        switch (node)
        {
            case JsonObject map:
                text.Append('{');
                foreach (var (key, value) in map.OrderBy(p => p.Key, StringComparer.Ordinal))
                {
                    if (value is null || (path == ".metadata.labels" && key is "pod-template-hash" or "controller-revision-hash"))
                        continue;
                    text.Append('"').Append(key).Append("\":");
                    Append(text, value, path.Length < 16 ? $"{path}.{key}" : path);
                    text.Append(',');
                }

                text.Append('}');
                break;
            case JsonArray list:
                text.Append('[');
                foreach (var item in list)
                {
                    Append(text, item, "[]");
                    text.Append(',');
                }

                text.Append(']');
                break;
            case null:
                text.Append("null");
                break;
            default:
                text.Append(node.ToJsonString());
                break;
        }
    }
}
