using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>One object that somebody wrote down.</summary>
/// <param name="Json">The object as JSON.</param>
/// <param name="Source">File and line, for messages.</param>
public sealed record Manifest(JsonObject Json, string Source)
{
    /// <summary>The kind, such as <c>Deployment</c>.</summary>
    public string Kind => Json.Text("kind") ?? "";

    /// <summary>API version.</summary>
    public string ApiVersion => Json.Text("apiVersion") ?? "";

    /// <summary>metadata.name.</summary>
    public string Name => Json.Text("metadata", "name") ?? "";

    /// <summary>metadata.namespace; null when it has none.</summary>
    public string? Namespace => Json.Text("metadata", "namespace");

    /// <summary>Kind and name, for people.</summary>
    public string Title => $"{Kind} \"{Name}\"";

    /// <summary>The pod template's spec (a Pod's own for a Pod); null for what makes no pods.</summary>
    internal JsonObject? PodSpec => PodSpecOf(Json);

    internal JsonObject? PodTemplate => Kind switch
    {
        "Deployment" or "ReplicaSet" or "StatefulSet" or "DaemonSet" or "Job" or "ReplicationController" =>
            Json.Map("spec", "template"),
        "CronJob" => Json.Map("spec", "jobTemplate", "spec", "template"),
        _ => null,
    };

    private static JsonObject? PodSpecOf(JsonObject item) => item.Text("kind") switch
    {
        "Pod" => item.Map("spec"),
        "Deployment" or "ReplicaSet" or "StatefulSet" or "DaemonSet" or "Job" or "ReplicationController" =>
            item.Map("spec", "template", "spec"),
        "CronJob" => item.Map("spec", "jobTemplate", "spec", "template", "spec"),
        _ => null,
    };

    /// <summary>Containers of the pods that this makes, init containers first.</summary>
    internal IEnumerable<(JsonObject Container, bool IsInit)> Containers =>
        Part("initContainers")
            .Select(container => (container, true))
            .Concat(Part("containers").Select(container => (container, false)));

    /// <summary>Names of its containers, without init containers.</summary>
    public IReadOnlyList<string> ContainerNames =>
        [.. Part("containers").Select(container => Reading.Text(container["name"])).OfType<string>()];

    private IEnumerable<JsonObject> Part(string name) => PodSpec.Objects(name);

    /// <summary>Whoever reads it later finds what it asks for.</summary>
    /// <exception cref="OutsideJsonException">A part that is read here is of another type.</exception>
    internal void CheckTypes()
    {
        _ = (Namespace, PodTemplate);
        foreach (var (container, _) in Containers) _ = (container.Text("name"), container.Text("image"));
    }
}
