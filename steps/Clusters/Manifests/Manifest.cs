using System.Text.Json.Nodes;

namespace CiSteps.Clusters;

/// <summary>One object that somebody wrote down.</summary>
/// <param name="Json">The object as JSON.</param>
/// <param name="Source">File and line, for messages.</param>
public sealed record Manifest(JsonObject Json, string Source)
{
    /// <summary>The kind, such as <c>Deployment</c>.</summary>
    public string Kind => (string?)Json["kind"] ?? "";

    /// <summary>API version.</summary>
    public string ApiVersion => (string?)Json["apiVersion"] ?? "";

    /// <summary>metadata.name.</summary>
    public string Name => (string?)Json["metadata"]?["name"] ?? "";

    /// <summary>metadata.namespace; null when it has none.</summary>
    public string? Namespace => (string?)Json["metadata"]?["namespace"];

    /// <summary>Kind and name, for people.</summary>
    public string Title => $"{Kind} \"{Name}\"";

    /// <summary>The pod template's spec (a Pod's own for a Pod); null for what makes no pods.</summary>
    internal JsonObject? PodSpec => PodSpecOf(Json);

    internal JsonObject? PodTemplate => Kind switch
    {
        "Deployment" or "ReplicaSet" or "StatefulSet" or "DaemonSet" or "Job" or "ReplicationController" => Json["spec"]?["template"] as JsonObject,
        "CronJob" => Json["spec"]?["jobTemplate"]?["spec"]?["template"] as JsonObject,
        _ => null,
    };

    private static JsonObject? PodSpecOf(JsonObject item) => (string?)item["kind"] switch
    {
        "Pod" => item["spec"] as JsonObject,
        "Deployment" or "ReplicaSet" or "StatefulSet" or "DaemonSet" or "Job" or "ReplicationController" => item["spec"]?["template"]?["spec"] as JsonObject,
        "CronJob" => item["spec"]?["jobTemplate"]?["spec"]?["template"]?["spec"] as JsonObject,
        _ => null,
    };

    /// <summary>Containers of the pods that this makes, init containers first.</summary>
    internal IEnumerable<(JsonObject Container, bool IsInit)> Containers =>
        Part("initContainers").Select(container => (container, true)).Concat(Part("containers").Select(container => (container, false)));

    /// <summary>Names of its containers, without init containers.</summary>
    public IReadOnlyList<string> ContainerNames => [.. Part("containers").Select(container => Reading.Text(container["name"])).OfType<string>()];

    private IEnumerable<JsonObject> Part(string name) => (PodSpec?[name] as JsonArray ?? []).OfType<JsonObject>();
}
