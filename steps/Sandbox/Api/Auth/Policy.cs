using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>What somebody wants to do.</summary>
/// <param name="Verb">Such as <c>get</c>.</param>
/// <param name="Group">API group.</param>
/// <param name="Resource">Plural; null for a path that is not a resource.</param>
/// <param name="Subresource">Such as <c>status</c>.</param>
/// <param name="Namespace">Null or empty for cluster scope or all namespaces.</param>
/// <param name="Name">Object's name, where the request has one.</param>
/// <param name="Path">Path that is not a resource.</param>
internal sealed record Attributes(
    string Verb,
    string Group,
    string? Resource,
    string? Subresource,
    string? Namespace,
    string? Name,
    string? Path = null)
{
    public string FullResource => Subresource is { Length: > 0 } ? $"{Resource}/{Subresource}" : Resource ?? "";
}

/// <summary>One rule of a role.</summary>
internal sealed record PolicyRule(
    IReadOnlyList<string> Verbs,
    IReadOnlyList<string> Groups,
    IReadOnlyList<string> Resources,
    IReadOnlyList<string> Names,
    IReadOnlyList<string> Paths)
{
    public static PolicyRule From(JsonObject rule) => new(
        [.. rule.Strs("verbs")],
        [.. rule.Strs("apiGroups")],
        [.. rule.Strs("resources")],
        [.. rule.Strs("resourceNames")],
        [.. rule.Strs("nonResourceURLs")]);

    public bool Allows(Attributes wanted)
    {
        if (!Verbs.Contains("*") && !Verbs.Contains(wanted.Verb))
            return false;
        if (wanted.Resource is null)
            return Paths.Any(
                p => p == "*"
                    || p == wanted.Path
                    || (p.EndsWith('*') && wanted.Path!.StartsWith(p[..^1], StringComparison.Ordinal)));
        if (!Groups.Contains("*") && !Groups.Contains(wanted.Group))
            return false;
        if (!Resources.Any(
            r => r == "*"
                || r == wanted.FullResource
                || (wanted.Subresource is { Length: > 0 } && r == "*/" + wanted.Subresource)))
            return false;
        return Names.Count == 0 || (wanted.Name is { Length: > 0 } name && Names.Contains(name));
    }

    /// <summary>Whether one rule allows all that another does.</summary>
    public bool Covers(PolicyRule other) =>
        other.Verbs.All(v => Verbs.Contains("*") || Verbs.Contains(v))
        && (other.Paths.Count > 0
            ? other.Paths.All(
                p => Paths.Any(
                    own => own == "*" || own == p || (own.EndsWith('*') && p.StartsWith(own[..^1], StringComparison.Ordinal))))
            : other.Groups.All(g => Groups.Contains("*") || Groups.Contains(g))
                && other.Resources.All(
                    r => Resources.Contains("*")
                        || Resources.Contains(r)
                        || (r.IndexOf('/', StringComparison.Ordinal) is > 0 and var s && Resources.Contains("*" + r[s..])))
                && (Names.Count == 0 || (other.Names.Count > 0 && other.Names.All(Names.Contains))));

    /// <summary>The rule in pieces that one rule of somebody else can cover each.</summary>
    public IEnumerable<PolicyRule> Split()
    {
        foreach (var verb in Verbs)
        {
            foreach (var path in Paths)
                yield return new PolicyRule([verb], [], [], [], [path]);
            foreach (var group in Groups)
            {
                foreach (var resource in Resources)
                {
                    if (Names.Count == 0)
                        yield return new PolicyRule([verb], [group], [resource], [], []);
                    foreach (var name in Names)
                        yield return new PolicyRule([verb], [group], [resource], [name], []);
                }
            }
        }
    }

    public JsonObject ToJson()
    {
        static JsonArray List(IReadOnlyList<string> values) => new([.. values.Select(v => (JsonNode?)v)]);
        var rule = new JsonObject { ["verbs"] = List(Verbs) };
        if (Paths.Count > 0)
        {
            rule["nonResourceURLs"] = List(Paths);
            return rule;
        }
        rule["apiGroups"] = List(Groups);
        rule["resources"] = List(Resources);
        if (Names.Count > 0)
            rule["resourceNames"] = List(Names);
        return rule;
    }
}
