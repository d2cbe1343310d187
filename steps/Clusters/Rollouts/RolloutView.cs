using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>All that is known about a roll-out at one moment: the objects that its watches have seen.</summary>
internal sealed class RolloutView
{
    private readonly Dictionary<string, Dictionary<string, JsonObject>> objects = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<string>> relisting = new(StringComparer.Ordinal);
    private readonly HashSet<string> absent = new(StringComparer.Ordinal);

    public JsonObject? Workload => Of("workload").FirstOrDefault();

    public IEnumerable<JsonObject> ReplicaSets => Of("replicasets");

    public IEnumerable<JsonObject> Revisions => Of("controllerrevisions");

    public IEnumerable<JsonObject> Pods => Of("pods");

    public IEnumerable<JsonObject> Events => Of("events");

    public IEnumerable<JsonObject> Services => Of("services");

    public IEnumerable<JsonObject> Slices => Of("endpointslices");

    public IEnumerable<JsonObject> Nodes => Of("nodes");

    /// <summary>Whether a topic was listed completely, or does not exist on this server.</summary>
    public bool Knows(string topic) => absent.Contains(topic) || objects.ContainsKey(topic) && !relisting.ContainsKey(topic);

    /// <summary>Whether the server (or our rights) keep a topic from us.</summary>
    public bool IsAbsent(string topic) => absent.Contains(topic);

    public void SetAbsent(string topic) => absent.Add(topic);

    public void Take(string topic, Change change)
    {
        if (!objects.TryGetValue(topic, out var known))
            objects[topic] = known = new Dictionary<string, JsonObject>(StringComparer.Ordinal);
        var uid = change.Item.Text("metadata", "uid") ?? change.Item.Text("metadata", "name") ?? "";
        switch (change.Kind)
        {
            case ChangeKind.Relisting:
                relisting[topic] = [.. known.Keys];
                break;
            case ChangeKind.Synced:
                foreach (var gone in relisting.GetValueOrDefault(topic) ?? []) known.Remove(gone);
                relisting.Remove(topic);
                break;
            case ChangeKind.Present:
                known[uid] = change.Item;
                relisting.GetValueOrDefault(topic)?.Remove(uid);
                break;
            case ChangeKind.Gone:
                known.Remove(uid);
                break;
        }
    }

    private IEnumerable<JsonObject> Of(string topic) => objects.TryGetValue(topic, out var known) ? known.Values : [];
}

/// <summary>Reading objects without ceremony.</summary>
internal static class Reading
{
    public static string Uid(this JsonObject item) => item.Text("metadata", "uid") ?? "";

    public static string NameOf(this JsonObject item) => item.Text("metadata", "name") ?? "";

    public static bool IsBeingDeleted(this JsonObject item) => item.Member("metadata", "deletionTimestamp") is not null;

    public static int Number(JsonNode? node, int otherwise = 0) => (int)(node.Number() ?? otherwise);

    public static string? Text(JsonNode? node) => node.Text();

    public static bool IsOwnedBy(this JsonObject item, string uid) =>
        (item.List("metadata", "ownerReferences") ?? []).Any(owner => owner.Text("uid") == uid);

    public static string? Label(this JsonObject item, string name) => Text(item.Member("metadata", "labels", name));

    public static string? Annotation(this JsonObject item, string name) => Text(item.Member("metadata", "annotations", name));

    public static IEnumerable<JsonObject> Items(JsonNode? node) => node.Objects();

    /// <summary>Whether labels satisfy a plain map selector; an empty selector selects nothing.</summary>
    public static bool Selects(JsonObject? selector, JsonObject? labels) =>
        selector is { Count: > 0 } && selector.All(pair => Text(labels?[pair.Key]) == Text(pair.Value));

    /// <summary>
    /// The digest in an imageID of any form: <c>repo@sha256:…</c>, <c>docker-pullable://…</c>, <c>docker://sha256:…</c>,
    /// <c>sha256:…</c>.
    /// </summary>
    public static string? DigestIn(string? imageId)
    {
        var at = imageId?.LastIndexOf("sha256:", StringComparison.Ordinal) ?? -1;
        return at < 0 ? null : imageId![at..];
    }
}
