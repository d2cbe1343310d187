using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Finds registry logins in a pod's pull secrets and in its service account's.</summary>
internal static class PullCredentials
{
    /// <summary>All logins that fit the image, to be tried in turn; empty to pull without one.</summary>
    public static IReadOnlyList<RegistryLogin> For(ClusterApi api, JsonObject pod, ImageName image)
    {
        var names = pod.Objs("spec", "imagePullSecrets").Select(s => s.Str("name"));
        if (!names.Any())
        {
            var account = api.Get(Kinds.ServiceAccounts, pod.Namespace(), pod.Str("spec", "serviceAccountName") ?? "default");
            names = account.Objs("imagePullSecrets").Select(s => s.Str("name"));
        }

        var logins = new List<RegistryLogin>();
        foreach (var name in names.OfType<string>())
        {
            if (api.Get(Kinds.Secrets, pod.Namespace(), name) is { } secret)
                logins.AddRange(Fitting(secret, image));
        }

        return logins;
    }

    private static IEnumerable<RegistryLogin> Fitting(JsonObject secret, ImageName image)
    {
        var data = PodVolumes.DataOf(secret);
        JsonObject? entries = null;
        try
        {
            if (data.TryGetValue(".dockerconfigjson", out var config))
                entries = (JsonNode.Parse(config) as JsonObject).Obj("auths");
            else if (data.TryGetValue(".dockercfg", out var old))
                entries = JsonNode.Parse(old) as JsonObject;
        }
        catch (JsonException)
        {
            yield break;
        }

        foreach (var (server, value) in entries ?? [])
        {
            if (value is not JsonObject login || !Matches(server, image))
                continue;
            var (user, password) = (login.Str("username"), login.Str("password"));
            if (login.Str("auth") is { Length: > 0 } auth && TryDecode(auth) is { } pair && pair.Split(':', 2) is [var u, var p])
                (user, password) = (u, p);
            if (user is not null || login.Str("identitytoken") is not null)
                yield return new(user ?? "", password ?? "", login.Str("identitytoken"));
        }
    }

    private static string? TryDecode(string base64)
    {
        var buffer = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, buffer, out var count)
            ? Encoding.UTF8.GetString(buffer, 0, count).TrimEnd('\0')
            : null;
    }

    // A key may be a host, a host with a path, or a URL; a host may begin with "*.".
    private static bool Matches(string server, ImageName image)
    {
        var key = server.Replace("https://", "", StringComparison.Ordinal)
            .Replace("http://", "", StringComparison.Ordinal)
            .TrimEnd('/');
        key = key.EndsWith("/v1", StringComparison.Ordinal) || key.EndsWith("/v2", StringComparison.Ordinal) ? key[..^3] : key;
        var host = key.Split('/')[0];
        if (host is "index.docker.io" or "docker.io")
            return image.Registry == "docker.io";
        if (host.StartsWith("*.", StringComparison.Ordinal)
            ? !image.Registry.EndsWith(host[1..], StringComparison.Ordinal)
            : host != image.Registry)
            return false;
        return host.Length == key.Length || image.Repository.StartsWith(key, StringComparison.Ordinal);
    }
}
