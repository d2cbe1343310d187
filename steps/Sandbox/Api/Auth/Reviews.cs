using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>Kinds that are questions: they are answered and never stored.</summary>
internal sealed class Reviews(Authenticator authenticator, Authorizer authorizer)
{
    public static IReadOnlyList<ResourceType> Types { get; } =
    [
        Question("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
        Question("authentication.k8s.io", "tokenreviews", "TokenReview", false),
        Question("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
        Question("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
        Question("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
        Question("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
    ];

    public static ResourceType? Find(string group, string version, string resource) =>
        Types.FirstOrDefault(t => t.Group == group && t.Version == version && t.Plural == resource);

    public JsonObject Answer(ResourceType type, UserInfo asker, JsonObject question)
    {
        var answer = (JsonObject)question.DeepClone();
        answer["apiVersion"] = type.ApiVersion;
        answer["kind"] = type.Kind;
        answer.Ensure("metadata");
        var spec = question.Obj("spec") ?? [];
        answer["status"] = type.Plural switch
        {
            "selfsubjectreviews" => new JsonObject { ["userInfo"] = asker.ToJson() },
            "tokenreviews" => Token(spec),
            "selfsubjectrulesreviews" => Rules(asker, spec.Str("namespace")),
            "selfsubjectaccessreviews" => Access(asker, spec),
            _ => Access(new UserInfo(spec.Str("user") ?? "", [.. spec.Strs("groups")], spec.Str("uid")), spec),
        };
        return answer;
    }

    private static ResourceType Question(string group, string plural, string kind, bool namespaced) =>
        new(group, "v1", plural, kind.ToLowerInvariant(), kind, namespaced, []);

    private JsonObject Token(JsonObject spec)
    {
        var token = spec.Str("token") ?? "";
        if (token.Length == 0)
            throw ApiException.BadRequest("token is required for TokenReview in authentication");
        var audiences = spec.Strs("audiences").ToList();
        var (user, matched, refusal) = authenticator.Review(token, audiences.Count == 0 ? null : audiences);
        if (user is null)
            return new JsonObject { ["authenticated"] = false, ["user"] = new JsonObject(), ["error"] = refusal };
        return new JsonObject
        {
            ["authenticated"] = true,
            ["user"] = user.ToJson(),
            ["audiences"] = new JsonArray([.. matched.Select(a => (JsonNode?)a)]),
        };
    }

    private JsonObject Access(UserInfo user, JsonObject spec)
    {
        Attributes wanted;
        if (spec.Obj("resourceAttributes") is { } resource)
        {
            wanted = new Attributes(resource.Str("verb") ?? "", resource.Str("group") ?? "", resource.Str("resource") ?? "",
                resource.Str("subresource"), resource.Str("namespace"), resource.Str("name"));
        }
        else if (spec.Obj("nonResourceAttributes") is { } path)
            wanted = new Attributes(path.Str("verb") ?? "", "", null, null, null, null, path.Str("path") ?? "");
        else
        {
            const string why =
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            throw new ApiException(422, "Invalid", $".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: {why}")
            {
                Group = "authorization.k8s.io",
                Causes = [new StatusCause("FieldValueInvalid", why, "spec.resourceAttributes")],
            };
        }
        return authorizer.Allows(user, wanted)
            ? new JsonObject { ["allowed"] = true, ["reason"] = "RBAC: allowed by a role binding" }
            : new JsonObject { ["allowed"] = false };
    }

    private JsonObject Rules(UserInfo user, string? ns)
    {
        if (ns is not { Length: > 0 })
            throw ApiException.BadRequest("no namespace on request");
        var resources = new JsonArray();
        var paths = new JsonArray();
        foreach (var rule in authorizer.Rules(user, ns))
            (rule.Paths.Count > 0 ? paths : resources).Add((JsonNode)rule.ToJson());
        return new JsonObject { ["resourceRules"] = resources, ["nonResourceRules"] = paths, ["incomplete"] = false };
    }
}
