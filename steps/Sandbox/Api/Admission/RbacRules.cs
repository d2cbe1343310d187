using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Roles and bindings: their form, and that nobody hands out rights that he has not.</summary>
internal sealed class RbacRules(ClusterApi api)
{
    private const string Group = "rbac.authorization.k8s.io";

    public static bool Concerns(ResourceType type) => type.Group == Group;

    public static void Default(ResourceType type, JsonObject obj)
    {
        if (type == Kinds.Roles || type == Kinds.ClusterRoles)
        {
            obj.Default("rules", new JsonArray());
            return;
        }
        if (obj.Obj("roleRef") is { } role)
            role.Default("apiGroup", Group);
        foreach (var subject in obj.Objs("subjects"))
        {
            if (subject.Str("kind") is "User" or "Group")
                subject.Default("apiGroup", Group);
        }
    }

    public void Check(ResourceType type, JsonObject? old, JsonObject obj, UserInfo? user, FieldErrors errors)
    {
        if (type == Kinds.Roles || type == Kinds.ClusterRoles)
        {
            var index = 0;
            foreach (var rule in obj.Objs("rules"))
            {
                if (!rule.Strs("verbs").Any())
                    errors.Required($"rules[{index}].verbs", "verbs must contain at least one value");
                if (!rule.Strs("nonResourceURLs").Any())
                {
                    if (!rule.Strs("apiGroups").Any())
                        errors.Required($"rules[{index}].apiGroups", "resource rules must supply at least one api group");
                    if (!rule.Strs("resources").Any())
                        errors.Required($"rules[{index}].resources", "resource rules must supply at least one resource");
                }
                else if (type == Kinds.Roles)
                    errors.Invalid($"rules[{index}].nonResourceURLs", rule["nonResourceURLs"]?.DeepClone(),
                        "namespaced rules cannot apply to non-resource URLs");
                index++;
            }
            if (errors.Causes.Count == 0 && user is not null && !JsonNode.DeepEquals(old?["rules"], obj["rules"]))
                CheckEscalation(type, obj, user, [.. obj.Objs("rules").Select(PolicyRule.From)], "escalate", type.Plural);
            return;
        }
        if (obj.Str("roleRef", "name") is not { Length: > 0 })
            errors.Required("roleRef.name");
        var kind = obj.Str("roleRef", "kind");
        if (kind != "ClusterRole" && (kind != "Role" || type == Kinds.ClusterRoleBindings))
            errors.Unsupported(
                "roleRef.kind", kind, type == Kinds.ClusterRoleBindings ? ["ClusterRole"] : ["Role", "ClusterRole"]);
        if (old is not null && !JsonNode.DeepEquals(old["roleRef"], obj["roleRef"]))
            errors.Invalid("roleRef", obj["roleRef"]?.DeepClone(), "cannot change roleRef");
        var position = 0;
        foreach (var subject in obj.Objs("subjects"))
        {
            if (subject.Str("name") is not { Length: > 0 })
                errors.Required($"subjects[{position}].name");
            if (subject.Str("kind") is not ("ServiceAccount" or "User" or "Group"))
                errors.Unsupported($"subjects[{position}].kind", subject["kind"]?.DeepClone(), "ServiceAccount", "User", "Group");
            else if (type == Kinds.ClusterRoleBindings
                && subject.Str("kind") == "ServiceAccount"
                && subject.Str("namespace") is not { Length: > 0 })
                errors.Required($"subjects[{position}].namespace");
            position++;
        }
        if (errors.Causes.Count > 0 || user is null || (old is not null && JsonNode.DeepEquals(old["subjects"], obj["subjects"])))
            return;
        var ns = obj.Str("metadata", "namespace");
        if (api.Authorizer.Allows(
            user, new Attributes("bind", Group, kind == "Role" ? "roles" : "clusterroles", null, ns, obj.Str("roleRef", "name"))))
            return;
        var rules = api.Authorizer.RulesOf(kind!, obj.Str("roleRef", "name")!, ns)
            ?? throw ApiException.NotFound(kind == "Role" ? Kinds.Roles : Kinds.ClusterRoles, obj.Str("roleRef", "name")!);
        CheckEscalation(type, obj, user, rules, null, null);
    }

    private void CheckEscalation(
        ResourceType type, JsonObject obj, UserInfo user, IReadOnlyList<PolicyRule> rules, string? verb, string? resource)
    {
        var ns = obj.Str("metadata", "namespace");
        var name = obj.Str("metadata", "name") ?? "";
        if (verb is not null && api.Authorizer.Allows(user, new Attributes(verb, Group, resource, null, ns, name)))
            return;
        var own = api.Authorizer.Rules(user, ns).ToList();
        var beyond = rules.SelectMany(r => r.Split()).Where(piece => !own.Exists(o => o.Covers(piece))).ToList();
        if (beyond.Count == 0)
            return;
        var list = string.Join("\n", beyond.Take(10).Select(b => b.ToJson().ToJsonString()));
        throw ApiException.Forbidden(type, name,
            $"user \"{user.Name}\" (groups=[{string.Join(" ", user.Groups.Select(g => $"\"{g}\""))}]) is attempting to grant " +
            $"RBAC permissions not currently held:\n{list}");
    }
}
