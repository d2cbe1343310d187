using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>Role-based access control over the roles and bindings that are stored.</summary>
internal sealed class Authorizer
{
    private static readonly HashSet<string> PolicyKinds =
    [
        Kinds.Roles.StorageKey, Kinds.RoleBindings.StorageKey, Kinds.ClusterRoles.StorageKey,
        Kinds.ClusterRoleBindings.StorageKey,
    ];

    private readonly ClusterApi api;
    private volatile Snapshot? current;

    public Authorizer(ClusterApi api)
    {
        this.api = api;
        lock (api.Store.Gate)
        {
            api.Store.Committed += (key, _) =>
            {
                if (PolicyKinds.Contains(key))
                    current = null;
            };
        }
    }

    public bool Allows(UserInfo user, Attributes wanted) =>
        user.Groups.Contains("system:masters") || Rules(user, wanted.Namespace).Any(r => r.Allows(wanted));

    /// <summary>All rules that hold for somebody in a namespace (null or empty: those for the whole cluster only).</summary>
    public IEnumerable<PolicyRule> Rules(UserInfo user, string? ns)
    {
        if (user.Groups.Contains("system:masters"))
            return [new PolicyRule(["*"], ["*"], ["*"], [], []), new PolicyRule(["*"], [], [], [], ["*"])];
        var snapshot = Current();
        return snapshot.Bindings.Where(b => (b.Namespace is null || b.Namespace == ns) && b.Subjects.Any(s => s.Is(user)))
            .SelectMany(b => snapshot.RulesOf(b.RoleKind, b.RoleName, b.Namespace));
    }

    /// <summary>The rules of a role that a binding would refer to.</summary>
    public IReadOnlyList<PolicyRule>? RulesOf(string kind, string name, string? ns) => Current().Find(kind, name, ns);

    public void Demand(UserInfo user, Attributes wanted)
    {
        if (!Allows(user, wanted))
            throw Refusal(user, wanted);
    }

    public static ApiException Refusal(UserInfo user, Attributes wanted)
    {
        if (wanted.Resource is null)
            return new ApiException(403, "Forbidden",
                $"forbidden: User \"{user.Name}\" cannot {wanted.Verb} path \"{wanted.Path}\"");
        var scope = wanted.Namespace is { Length: > 0 } ns ? $"in the namespace \"{ns}\"" : "at the cluster scope";
        var qualified = wanted.Group.Length == 0 ? wanted.Resource : $"{wanted.Resource}.{wanted.Group}";
        var name = wanted.Name is { Length: > 0 } ? $" \"{wanted.Name}\"" : "";
        return new ApiException(403, "Forbidden",
            $"{qualified}{name} is forbidden: User \"{user.Name}\" cannot {wanted.Verb} resource \"{wanted.FullResource}\" in " +
            $"API group \"{wanted.Group}\" {scope}")
        {
            Name = wanted.Name,
            Group = wanted.Group,
            Subject = wanted.Resource,
        };
    }

    private Snapshot Current() => current ??= Read();

    private Snapshot Read()
    {
        var roles = new Dictionary<(string, string?, string), IReadOnlyList<PolicyRule>>();
        foreach (var role in api.List(Kinds.Roles).Items)
            roles[("Role", role.Str("metadata", "namespace"), role.Str("metadata", "name")!)] = RulesIn(role);
        var clusterRoles = api.List(Kinds.ClusterRoles).Items;
        foreach (var role in clusterRoles)
        {
            var rules = RulesIn(role).ToList();
            foreach (var selector in role.Objs("aggregationRule", "clusterRoleSelectors"))
            {
                var match = LabelSelector.FromObject(selector);
                rules.AddRange(clusterRoles.Where(r => match.Matches(r)).SelectMany(RulesIn));
            }
            roles[("ClusterRole", null, role.Str("metadata", "name")!)] = rules;
        }
        var bindings = api.List(Kinds.RoleBindings).Items
            .Concat(api.List(Kinds.ClusterRoleBindings).Items)
            .Select(b => new Binding(
            b.Str("metadata", "namespace"), b.Str("roleRef", "kind") ?? "", b.Str("roleRef", "name") ?? "",
            [.. b
                .Objs("subjects")
                .Select(
                    s => new Subject(
                        s.Str("kind") ?? "",
                        s.Str("namespace") is { Length: > 0 } ns ? ns : b.Str("metadata", "namespace"),
                        s.Str("name") ?? ""))]))
                .ToList();
        return new Snapshot(bindings, roles);
    }

    private static List<PolicyRule> RulesIn(JsonObject role) => [.. role.Objs("rules").Select(PolicyRule.From)];

    private sealed record Subject(string Kind, string? Namespace, string Name)
    {
        public bool Is(UserInfo user) => Kind switch
        {
            "User" => user.Name == Name,
            "Group" => user.Groups.Contains(Name),
            _ => user.Name == $"system:serviceaccount:{Namespace}:{Name}",
        };
    }

    private sealed record Binding(string? Namespace, string RoleKind, string RoleName, IReadOnlyList<Subject> Subjects);

    private sealed record Snapshot(
        IReadOnlyList<Binding> Bindings, Dictionary<(string, string?, string), IReadOnlyList<PolicyRule>> Roles)
    {
        public IReadOnlyList<PolicyRule>? Find(string kind, string name, string? ns) =>
            Roles.GetValueOrDefault((kind, kind == "Role" ? ns : null, name));

        public IReadOnlyList<PolicyRule> RulesOf(string kind, string name, string? ns) => Find(kind, name, ns) ?? [];
    }
}
