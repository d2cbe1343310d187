using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using k8s;

namespace CiSteps.Clusters;

/// <summary>Reads a kubeconfig, given as path or as its content, into what the client needs.</summary>
internal static class Kubeconfig
{
    /// <summary>
    /// Variable with the names of credential plugins (comma-separated) that a kubeconfig may start; none unless set.
    /// </summary>
    public const string PluginsVariable = "CISTEPS_KUBECONFIG_PLUGINS";

    public static (KubernetesClientConfiguration Configuration, string Context, bool SkipsTls) Read(
        string pathOrText, BuildLog log, string? plugins)
    {
        var (text, file) = Content(pathOrText);
        var source = file is null ? "the kubeconfig" : $"the kubeconfig \"{file}\"";
        var document = YamlDocuments.Parse(text, source, Fault.Environment) is [var only] ? only.Value as JsonObject : null;
        if (document is null || (string?)document["kind"] != "Config" && document["clusters"] is null)
            throw new UsageException(
                $"{source} is not a kubeconfig: it has no clusters; give the path of a kubeconfig, or its content")
            {
                Fault = Fault.Environment
            };
        var context = (string?)document["current-context"] ?? "";
        if (context.Length == 0)
            throw new UsageException(
                $"{source} has no current-context; set one with kubectl config use-context")
            { Fault = Fault.Environment };
        RefuseUnlistedPlugins(document, source, plugins);
        try
        {
            var configuration = file is null
                ? KubernetesClientConfiguration.BuildConfigFromConfigFile(new MemoryStream(Encoding.UTF8.GetBytes(text)))
                : KubernetesClientConfiguration.BuildConfigFromConfigFile(new FileInfo(file));
            // A kubeconfig without a CA relies on the machine's own roots; the client wants a collection all the same.
            configuration.SslCaCerts ??= [];
            var secrets = new[] { configuration.AccessToken, configuration.Password };
            foreach (var secret in secrets) if (secret is { Length: > 0 }) log.Mask.Add(secret);
            return (configuration, context, configuration.SkipTlsVerify);
        }
        // The client's loader throws many kinds for what is always the same: this text is not usable.
        catch (Exception error) when (error is not (OutOfMemoryException or UsageException or OperationCanceledException))
        {
            throw new UsageException(
                $"{source} cannot be used: {error.Message}; check it with kubectl cluster-info",
                error)
            { Fault = Fault.Environment };
        }
    }

    /// <summary>When the user's client certificate ends; null when there is none.</summary>
    public static DateTimeOffset? EndOfCertificate(KubernetesClientConfiguration configuration)
    {
        var pem = configuration.ClientCertificateData is { Length: > 0 } data
            ? Encoding.UTF8.GetString(Convert.FromBase64String(data))
            : configuration.ClientCertificateFilePath is { Length: > 0 } file ? File.ReadAllText(file) : null;
        if (pem is null) return null;
        using var certificate = X509Certificate2.CreateFromPem(pem);
        return certificate.NotAfter.ToUniversalTime();
    }

    /// <summary>A kubeconfig with one cluster, one user with a token, one context.</summary>
    public static string Write(Uri server, string? authorityPem, string? tlsName, string token, string context, string? ns)
    {
        var cluster = new JsonObject { ["server"] = server.AbsoluteUri.TrimEnd('/') };
        if (authorityPem is not null)
            cluster["certificate-authority-data"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(authorityPem));
        if (tlsName is { Length: > 0 }) cluster["tls-server-name"] = tlsName;
        var details = new JsonObject { ["cluster"] = context, ["user"] = context };
        if (ns is not null) details["namespace"] = ns;
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Config",
            ["clusters"] = new JsonArray((JsonNode)new JsonObject { ["name"] = context, ["cluster"] = cluster }),
            ["users"] = new JsonArray((JsonNode)new JsonObject
            {
                ["name"] = context,
                ["user"] = new JsonObject { ["token"] = token }
            }),
            ["contexts"] = new JsonArray((JsonNode)new JsonObject { ["name"] = context, ["context"] = details }),
            ["current-context"] = context,
        }.ToJsonString();
    }

    private static (string Text, string? File) Content(string pathOrText)
    {
        if (pathOrText.Contains('\n', StringComparison.Ordinal) || pathOrText.TrimStart().StartsWith('{'))
            return (pathOrText, null);
        try
        {
            var file = Path.GetFullPath(pathOrText);
            return (File.ReadAllText(file), file);
        }
        catch (Exception error)
            when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException(
                $"cannot read the kubeconfig \"{pathOrText}\": {error.Message}; give the path of a kubeconfig, or its content",
                error)
            { Fault = Fault.Environment };
        }
    }

    // Whoever hands over a kubeconfig must not thereby choose a program that runs here.
    private static void RefuseUnlistedPlugins(JsonObject document, string source, string? plugins)
    {
        var allowed = (plugins ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var user in document["users"] as JsonArray ?? [])
        {
            if ((user?["user"] as JsonObject)?["exec"] is not JsonObject exec) continue;
            var command = (string?)exec["command"] ?? "";
            if (!allowed.Contains(command, StringComparer.Ordinal))
                throw new UsageException(
                    $"{source} wants to run the credential plugin \"{command}\"; name it in {PluginsVariable} to allow that, " +
                    "or use a token or client certificate")
                {
                    Fault = Fault.Environment
                };
        }
    }
}
