using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>An object that a token lives and dies with.</summary>
internal sealed record BoundObject(string Kind, string Name, string Uid);

/// <summary>Signs and checks the tokens of service accounts.</summary>
internal sealed class ServiceAccountTokens(ClusterApi api) : IDisposable
{
    public const string Issuer = "https://kubernetes.default.svc.cluster.local";

    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly string keyId = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));

    /// <summary>A token for an account, as TokenRequest gives it.</summary>
    public (string Token, DateTimeOffset Expires) Issue(
        string ns, string account, string accountUid, IReadOnlyList<string> audiences, TimeSpan life, BoundObject? bound)
    {
        var now = api.Time.GetUtcNow();
        var expires = now + life;
        var claims = Claims(ns, account, accountUid, audiences, now, bound);
        claims["exp"] = expires.ToUnixTimeSeconds();
        return (Sign(claims), expires);
    }

    /// <summary>A token without expiry, bound to its secret.</summary>
    public string IssueForSecret(string ns, string account, string accountUid, BoundObject secret) =>
        Sign(Claims(ns, account, accountUid, [Issuer], api.Time.GetUtcNow(), secret));

    /// <summary>Who a token stands for, or null with the reason why it is refused.</summary>
    public (UserInfo? User, IReadOnlyList<string> Audiences, string? Refusal) Check(
        string token, IReadOnlyList<string>? wantedAudiences = null)
    {
        var parts = token.Split('.');
        if (parts.Length != 3 || Claims(parts) is not { } claims || claims.Str("iss") != Issuer)
            return (null, [], "invalid bearer token");
        var now = api.Time.GetUtcNow().ToUnixTimeSeconds();
        if (claims.Num("exp") is { } expiry && expiry <= now)
            return (null, [], "service account token has expired");
        if (claims.Num("nbf") is { } begins && begins > now + 10)
            return (null, [], "service account token is not valid yet");
        var audiences = claims.Strs("aud").ToList();
        var common = audiences.Intersect(wantedAudiences ?? [Issuer]).ToList();
        if (common.Count == 0)
            return (null, [], "token audiences do not match the expected ones");
        return Match(claims, common);
    }

    /// <summary>The public key as a JSON web key set.</summary>
    public JsonObject KeySet()
    {
        var parameters = key.ExportParameters(false);
        return new JsonObject
        {
            ["keys"] = new JsonArray(new JsonObject
            {
                ["use"] = "sig",
                ["kty"] = "EC",
                ["kid"] = keyId,
                ["crv"] = "P-256",
                ["alg"] = "ES256",
                ["x"] = Base64Url.EncodeToString(parameters.Q.X!),
                ["y"] = Base64Url.EncodeToString(parameters.Q.Y!),
            }),
        };
    }

    public void Dispose() => key.Dispose();

    private (UserInfo? User, IReadOnlyList<string> Audiences, string? Refusal) Match(JsonObject claims, List<string> audiences)
    {
        var about = claims.Obj("kubernetes.io");
        var ns = about.Str("namespace") ?? "";
        var name = about.Str("serviceaccount", "name") ?? "";
        var uid = about.Str("serviceaccount", "uid") ?? "";
        var account = api.Get(Kinds.ServiceAccounts, ns, name);
        if (account is null || account.Str("metadata", "uid") != uid || account.Str("metadata", "deletionTimestamp") is not null)
            return (null, [], "service account token has been invalidated");
        var extra = new Dictionary<string, string>();
        if (claims.Str("jti") is { } id)
            extra["authentication.kubernetes.io/credential-id"] = "JTI=" + id;
        foreach (var (field, type) in new[] { ("pod", Kinds.Pods), ("secret", Kinds.Secrets), ("node", Kinds.Nodes) })
        {
            if (about.Obj(field) is not { } bound)
                continue;
            var found = api.Get(type, type.Namespaced ? ns : null, bound.Str("name") ?? "");
            if (field != "node" && (found is null || found.Str("metadata", "uid") != bound.Str("uid") || Gone(found)))
                return (null, [], $"service account token is bound to a {field} that no longer exists");
            if (field is "pod" or "node")
            {
                extra[$"authentication.kubernetes.io/{field}-name"] = bound.Str("name") ?? "";
                extra[$"authentication.kubernetes.io/{field}-uid"] = bound.Str("uid") ?? "";
            }
        }
        var user = new UserInfo($"system:serviceaccount:{ns}:{name}",
            ["system:serviceaccounts", $"system:serviceaccounts:{ns}", "system:authenticated"], uid)
        { Extra = extra };
        return (user, audiences, null);
    }

    /// <summary>
    /// A bound object's token lives on for a minute while the object is being deleted, so that a pod can say good-bye.
    /// </summary>
    private bool Gone(JsonObject bound) =>
        bound.Time("metadata", "deletionTimestamp") is { } deleted && deleted.AddSeconds(60) < api.Time.GetUtcNow();

    private static JsonObject Claims(
        string ns, string account, string accountUid, IReadOnlyList<string> audiences, DateTimeOffset now, BoundObject? bound)
    {
        var about = new JsonObject
        {
            ["namespace"] = ns,
            ["serviceaccount"] = new JsonObject { ["name"] = account, ["uid"] = accountUid },
        };
        if (bound is not null)
            about[bound.Kind.ToLowerInvariant()] = new JsonObject { ["name"] = bound.Name, ["uid"] = bound.Uid };
        return new JsonObject
        {
            ["aud"] = new JsonArray([.. audiences.Select(a => (JsonNode?)a)]),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["nbf"] = now.ToUnixTimeSeconds(),
            ["iss"] = Issuer,
            ["jti"] = Guid.NewGuid().ToString(),
            ["sub"] = $"system:serviceaccount:{ns}:{account}",
            ["kubernetes.io"] = about,
        };
    }

    private string Sign(JsonObject claims)
    {
        var header = new JsonObject { ["alg"] = "ES256", ["kid"] = keyId };
        var content = Base64Url.EncodeToString(header.ToUtf8()) + "." + Base64Url.EncodeToString(claims.ToUtf8());
        return content + "." + Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(content), HashAlgorithmName.SHA256));
    }

    private JsonObject? Claims(string[] parts)
    {
        try
        {
            var signed = Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]);
            return key.VerifyData(signed, Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256)
                ? JsonNode.Parse(Base64Url.DecodeFromChars(parts[1])) as JsonObject
                : null;
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return null;
        }
    }
}
