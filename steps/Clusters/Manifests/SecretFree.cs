using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>Objects as they may be shown and kept: secrets without their values, nothing without its meaning.</summary>
internal static class SecretFree
{
    private const string LastApplied = "kubectl.kubernetes.io/last-applied-configuration";

    public static JsonObject Copy(JsonObject item)
    {
        var copy = (JsonObject)item.DeepClone();
        if (copy["metadata"] is JsonObject metadata)
        {
            metadata.Remove("managedFields");
            (metadata["annotations"] as JsonObject)?.Remove(LastApplied);
        }
        if (copy.Text("kind") == "Secret")
            foreach (var part in (string[])["data", "stringData"])
                if (copy[part] is JsonObject data)
                    foreach (var name in data.Select(pair => pair.Key).ToList()) data[name] = "(not shown)";
        return copy;
    }
}
