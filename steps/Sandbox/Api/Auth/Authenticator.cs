using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>Says who makes a request: bearer token, client certificate, or nobody.</summary>
internal sealed class Authenticator(ServiceAccountTokens tokens, IReadOnlyDictionary<string, UserInfo> staticTokens)
{
    /// <summary>Throws 401 for credentials that are given and wrong.</summary>
    public UserInfo Identify(HttpContext context)
    {
        var header = context.Request.Headers.Authorization.ToString();
        if (header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            return Check(header[7..].Trim());
        foreach (var protocol in context.Request.Headers.SecWebSocketProtocol.ToString().Split(','))
        {
            const string prefix = "base64url.bearer.authorization.k8s.io.";
            if (protocol.Trim().StartsWith(prefix, StringComparison.Ordinal))
                return Check(System.Text.Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(protocol
                    .Trim()
                    .AsSpan(prefix.Length))));
        }
        if (header.Length > 0)
            throw Unauthorized();
        // The handshake has already refused certificates of other authorities.
        return context.Connection.ClientCertificate is { } certificate ? FromCertificate(certificate) : UserInfo.Anonymous;
    }

    public (UserInfo? User, IReadOnlyList<string> Audiences, string? Refusal) Review(
        string token, IReadOnlyList<string>? audiences)
    {
        if (staticTokens.TryGetValue(token, out var user))
            return (user, audiences ?? [ServiceAccountTokens.Issuer], null);
        return tokens.Check(token, audiences);
    }

    private UserInfo Check(string token) => Review(token, null).User ?? throw Unauthorized();

    private static ApiException Unauthorized() => new(401, "Unauthorized", "Unauthorized");

    private static UserInfo FromCertificate(X509Certificate2 certificate)
    {
        string name = "";
        List<string> groups = [];
        foreach (var part in certificate.SubjectName.EnumerateRelativeDistinguishedNames())
        {
            if (part.HasMultipleElements)
                continue;
            if (part.GetSingleElementType().Value == "2.5.4.3")
                name = part.GetSingleElementValue() ?? "";
            else if (part.GetSingleElementType().Value == "2.5.4.10")
                groups.Add(part.GetSingleElementValue() ?? "");
        }
        return new UserInfo(name, [.. groups, "system:authenticated"]);
    }
}
