using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>Who makes a request.</summary>
internal sealed record UserInfo(string Name, IReadOnlyList<string> Groups, string? Uid = null)
{
    public static UserInfo Anonymous { get; } = new("system:anonymous", ["system:unauthenticated"]);

    /// <summary>What the credentials say beside name and groups, such as the pod that a token is bound to.</summary>
    public IReadOnlyDictionary<string, string> Extra { get; init; } =
        System.Collections.ObjectModel.ReadOnlyDictionary<string, string>.Empty;

    public JsonObject ToJson()
    {
        var user = new JsonObject { ["username"] = Name, ["groups"] = new JsonArray([.. Groups.Select(g => (JsonNode?)g)]) };
        if (Uid is not null)
            user["uid"] = Uid;
        if (Extra.Count > 0)
        {
            var extra = new JsonObject();
            foreach (var (key, value) in Extra)
                extra[key] = new JsonArray(value);
            user["extra"] = extra;
        }
        return user;
    }
}
