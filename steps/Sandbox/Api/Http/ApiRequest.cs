using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>What a request under /api or /apis is about.</summary>
/// <param name="Group">API group; empty for the core group.</param>
/// <param name="Version">API version.</param>
/// <param name="Resource">Plural; empty when the URL ends at the version.</param>
/// <param name="Namespace">Namespace in the URL.</param>
/// <param name="Name">Object's name in the URL.</param>
/// <param name="Subresource">Such as <c>status</c>.</param>
internal sealed record ApiRequest(
    string Group,
    string Version,
    string Resource,
    string? Namespace,
    string? Name,
    string? Subresource)
{
    /// <summary>What authorization calls it: get, list, watch, create, update, patch, delete, deletecollection.</summary>
    public string Verb { get; init; } = "";

    /// <summary>What follows the subresource, for proxies.</summary>
    public string? Rest { get; init; }

    /// <summary>Null when the path is none of the API's resources.</summary>
    public static ApiRequest? Parse(HttpRequest request)
    {
        var parts = (request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
        var legacy = parts is ["api", _, ..];
        if (!legacy && parts is not ["apis", _, _, ..])
            return null;
        var (group, version) = legacy ? ("", parts[1]) : (parts[1], parts[2]);
        ReadOnlySpan<string> rest = parts.AsSpan(legacy ? 2 : 3);
        var watch = IsTrue(request.Query["watch"]);
        if (rest is ["watch", ..])
        {
            watch = true;
            rest = rest[1..];
        }
        string? ns = null, name = null, sub = null, tail = null;
        var resource = "";
        if (rest is ["namespaces", var space, var inside, ..]
            && !(group.Length == 0 && rest.Length == 3 && inside is "status" or "finalize"))
        {
            ns = space;
            rest = rest[2..];
        }
        if (rest.Length > 0)
            resource = rest[0];
        if (rest.Length > 1)
            name = rest[1];
        if (rest.Length > 2)
            sub = rest[2];
        if (rest.Length > 3)
            tail = string.Join('/', rest[3..].ToArray());
        // A watch on one object is a watch on the collection with a field selector.
        var verb = request.Method switch
        {
            "GET" or "HEAD" => name is null || (watch && sub is null) ? (watch ? "watch" : "list") : "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => name is null ? "deletecollection" : "delete",
            var other => other.ToLowerInvariant(),
        };
        return new ApiRequest(group, version, resource, ns, name, sub) { Verb = verb, Rest = tail };
    }

    public static bool IsTrue(string? value) => value is "true" or "1" or "True" or "TRUE" or "t";
}
