using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>Says which groups, versions and kinds there are.</summary>
internal sealed class DiscoveryDocuments(ClusterApi api)
{
    private static readonly string[] StoredVerbs = [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"
    ];
    private static readonly string[] SubVerbs = ["get", "patch", "update"];

    /// <summary>A subresource of a kind.</summary>
    /// <param name="Name">Such as <c>status</c>.</param>
    /// <param name="Verbs">What it can do.</param>
    /// <param name="Kind">Kind of its bodies; null for the kind's own.</param>
    internal sealed record Subresource(
        string Name,
        string[] Verbs,
        string? Kind = null,
        string? Group = null,
        string? Version = null);

    public static IEnumerable<Subresource> SubresourcesOf(ResourceType type, bool pods)
    {
        if (type.HasStatus)
            yield return new Subresource("status", SubVerbs);
        if (type.HasScale)
            yield return new Subresource("scale", SubVerbs, "Scale", "autoscaling", "v1");
        if (type == Kinds.Pods)
        {
            yield return new Subresource("binding", ["create"], "Binding", "", "v1");
            yield return new Subresource("eviction", ["create"], "Eviction", "policy", "v1");
            if (pods)
            {
                yield return new Subresource("attach", ["create", "get"], "PodAttachOptions");
                yield return new Subresource("exec", ["create", "get"], "PodExecOptions");
                yield return new Subresource("log", ["get"]);
                yield return new Subresource("portforward", ["create", "get"], "PodPortForwardOptions");
            }
        }
        if (type == Kinds.ServiceAccounts)
            yield return new Subresource("token", ["create"], "TokenRequest", "authentication.k8s.io", "v1");
        if (type == Kinds.Namespaces)
            yield return new Subresource("finalize", ["update"]);
    }

    public static JsonObject Legacy() => new()
    {
        ["kind"] = "APIVersions",
        ["versions"] = new JsonArray("v1"),
        ["serverAddressByClientCIDRs"] = new JsonArray(new JsonObject
        {
            ["clientCIDR"] = "0.0.0.0/0",
            ["serverAddress"] = "127.0.0.1"
        }),
    };

    public JsonObject Groups()
    {
        var groups = new JsonArray();
        foreach (var (group, versions) in Versions().Where(g => g.Group.Length > 0))
            groups.Add((JsonNode)Group(group, versions));
        return new JsonObject { ["kind"] = "APIGroupList", ["apiVersion"] = "v1", ["groups"] = groups };
    }

    public JsonObject? Group(string name)
    {
        var found = Versions().FirstOrDefault(g => g.Group == name);
        if (name.Length == 0 || found.Group is null)
            return null;
        var group = Group(found.Group, found.Versions);
        group["kind"] = "APIGroup";
        group["apiVersion"] = "v1";
        return group;
    }

    public JsonObject? Resources(string group, string version)
    {
        var types = Types().Where(t => t.Group == group && t.Version == version).ToList();
        if (types.Count == 0)
            return null;
        var resources = new JsonArray();
        foreach (var type in types)
        {
            var entry = new JsonObject
            {
                ["name"] = type.Plural,
                ["singularName"] = type.Singular,
                ["namespaced"] = type.Namespaced,
                ["kind"] = type.Kind,
                ["verbs"] = Strings(Verbs(type)),
            };
            if (type.ShortNames.Count > 0)
                entry["shortNames"] = Strings(type.ShortNames);
            if (type.Categories.Count > 0)
                entry["categories"] = Strings(type.Categories);
            if (!IsQuestion(type))
                entry["storageVersionHash"] = Hash(type);
            resources.Add((JsonNode)entry);
            foreach (var sub in SubresourcesOf(type, api.Pods is not null))
            {
                var subEntry = new JsonObject
                {
                    ["name"] = $"{type.Plural}/{sub.Name}",
                    ["singularName"] = "",
                    ["namespaced"] = type.Namespaced,
                    ["kind"] = sub.Kind ?? type.Kind,
                    ["verbs"] = Strings(sub.Verbs),
                };
                if (sub.Version is not null)
                {
                    subEntry["group"] = sub.Group;
                    subEntry["version"] = sub.Version;
                }
                resources.Add((JsonNode)subEntry);
            }
        }
        return new JsonObject
        {
            ["kind"] = "APIResourceList",
            ["apiVersion"] = "v1",
            ["groupVersion"] = group.Length == 0 ? version : $"{group}/{version}",
            ["resources"] = resources,
        };
    }

    /// <summary>All of discovery in one document (v2 or v2beta1).</summary>
    public JsonObject Aggregated(bool legacy, string apiVersion)
    {
        var items = new JsonArray();
        foreach (var (group, versions) in Versions().Where(g => g.Group.Length == 0 == legacy))
        {
            var list = new JsonArray();
            foreach (var version in versions)
            {
                list.Add((JsonNode)new JsonObject
                {
                    ["version"] = version,
                    ["freshness"] = "Current",
                    ["resources"] = new JsonArray([.. Types()
                        .Where(t => t.Group == group && t.Version == version)
                        .Select(t => (JsonNode?)AggregatedResource(t))]),
                });
            }
            var metadata = new JsonObject { ["creationTimestamp"] = null };
            if (group.Length > 0)
                metadata["name"] = group;
            items.Add((JsonNode)new JsonObject { ["metadata"] = metadata, ["versions"] = list });
        }
        return new JsonObject
        {
            ["kind"] = "APIGroupDiscoveryList",
            ["apiVersion"] = "apidiscovery.k8s.io/" + apiVersion,
            ["metadata"] = new JsonObject(),
            ["items"] = items
        };
    }

    private JsonObject AggregatedResource(ResourceType type)
    {
        var entry = new JsonObject
        {
            ["resource"] = type.Plural,
            ["responseKind"] = GroupVersionKind(type.Group, type.Version, type.Kind),
            ["scope"] = type.Namespaced ? "Namespaced" : "Cluster",
            ["singularResource"] = type.Singular,
            ["verbs"] = Strings(Verbs(type)),
        };
        if (type.ShortNames.Count > 0)
            entry["shortNames"] = Strings(type.ShortNames);
        if (type.Categories.Count > 0)
            entry["categories"] = Strings(type.Categories);
        var subresources = SubresourcesOf(type, api.Pods is not null).Select(s => (JsonNode?)new JsonObject
        {
            ["subresource"] = s.Name,
            ["responseKind"] = GroupVersionKind(s.Group ?? type.Group, s.Version ?? type.Version, s.Kind ?? type.Kind),
            ["verbs"] = Strings(s.Verbs),
        }).ToArray();
        if (subresources.Length > 0)
            entry["subresources"] = new JsonArray(subresources);
        return entry;
    }

    private IEnumerable<ResourceType> Types() => [.. api.Types.All, .. Reviews.Types];

    private IEnumerable<(string Group, IReadOnlyList<string> Versions)> Versions() =>
        Types()
            .GroupBy(t => t.Group)
            .Select(g => (g.Key, (IReadOnlyList<string>)[.. g.Select(t => t.Version).Distinct().Order(VersionOrder.Instance)]));

    private static bool IsQuestion(ResourceType type) => Reviews.Types.Contains(type);

    private static string[] Verbs(ResourceType type) => IsQuestion(type) ? ["create"] : StoredVerbs;

    private static JsonObject Group(string name, IReadOnlyList<string> versions)
    {
        JsonObject Entry(string version) => new() { ["groupVersion"] = $"{name}/{version}", ["version"] = version };
        return new JsonObject
        {
            ["name"] = name,
            ["versions"] = new JsonArray([.. versions.Select(v => (JsonNode?)Entry(v))]),
            ["preferredVersion"] = Entry(versions[0])
        };
    }

    private static JsonObject GroupVersionKind(string group, string version, string kind) =>
        new() { ["group"] = group, ["version"] = version, ["kind"] = kind };

    private static JsonArray Strings(IEnumerable<string> values) => new([.. values.Select(v => (JsonNode?)v)]);

    private static string Hash(ResourceType type) =>
        Convert.ToBase64String(System.Security.Cryptography.SHA256
            .HashData(System.Text.Encoding.UTF8.GetBytes($"{type.Group}/{type.Version}/{type.Kind}"))
            .AsSpan(0, 8));
}
