using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using k8s;

namespace CiSteps.Clusters;

/// <summary>
/// A connection to one Kubernetes API server. Objects are JSON as the server has them; paths are its own
/// (<c>/api/v1/namespaces/x/pods</c>).
/// Reads and repeatable writes are tried again when the server or the network falters.
/// </summary>
public sealed partial class Cluster : IDisposable
{
    private readonly Kubernetes client;
    private readonly HttpClient http;

    private readonly string? authorityPem;
    private readonly string? tlsName;

    private Cluster(
        Kubernetes client, KubernetesClientConfiguration configuration, string context, BuildLog log, TimeProvider time)
    {
        (this.client, Context, Log, Time) = (client, context, log, time);
        authorityPem = configuration.SslCaCerts is { Count: > 0 } authorities ? authorities.ExportCertificatePems() : null;
        tlsName = configuration.TlsServerName;
        http = client.HttpClient;
        // The client appends a slash; our paths begin with one.
        Server = new Uri(client.BaseUri.AbsoluteUri.TrimEnd('/'));
        retry = Retry.Transient(IsTransient, time, log, DelayOf);
    }

    /// <summary>The context's name in the kubeconfig.</summary>
    public string Context { get; }

    /// <summary>Address of the API server.</summary>
    public Uri Server { get; }

    /// <summary>The server's version, such as <c>v1.32.0</c>.</summary>
    public string Version { get; private set; } = "";

    /// <summary>Where waiting and retries are told.</summary>
    public BuildLog Log { get; }

    /// <summary>Clock that all waiting on this cluster goes by.</summary>
    public TimeProvider Time { get; }

    /// <summary>Opens a connection and asks the server's version.</summary>
    /// <param name="kubeconfig">Path of a kubeconfig, or its content.</param>
    /// <param name="log">Told of retries; its mask learns the credentials.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UsageException">The kubeconfig cannot be read or used.</exception>
    /// <exception cref="UnavailableException">Nobody answers there, or not to these credentials.</exception>
    public static async Task<Cluster> ConnectAsync(
        string kubeconfig, BuildLog log, TimeProvider time, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(kubeconfig);
        ArgumentNullException.ThrowIfNull(log);
        var cluster = Open(kubeconfig, log, time);
        try
        {
            cluster.Version = (await cluster.GetAsync("/version", cancel).ConfigureAwait(false)).Text("gitVersion")
                ?? "unknown version";
            return cluster;
        }
        catch (ClusterApiException error)
        {
            cluster.Dispose();
            throw new UnavailableException(
                "cluster-unreachable",
                $"{cluster.Server} answers, but not as a Kubernetes API server ({error.Message}); " +
                "check the server's address in the kubeconfig",
                error);
        }
        catch
        {
            cluster.Dispose();
            throw;
        }
    }

    /// <summary>A connection that has not spoken to the server yet.</summary>
    /// <exception cref="UsageException">The kubeconfig cannot be read or used.</exception>
    /// <exception cref="UnavailableException">Its client certificate has ended.</exception>
    public static Cluster Open(string kubeconfig, BuildLog log, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(kubeconfig);
        ArgumentNullException.ThrowIfNull(log);
        var (configuration, context, skipsTls) = Kubeconfig.Read(
            kubeconfig, log, Environment.GetEnvironmentVariable(Kubeconfig.PluginsVariable));
        if (skipsTls)
            log.Warning(
                $"the kubeconfig's context \"{context}\" does not verify the server's certificate (insecure-skip-tls-verify): " +
                "anybody in between can read and change all that is sent; give it the cluster's certificate authority");
        try
        {
            if (Kubeconfig.EndOfCertificate(configuration) is { } end && end < time.GetUtcNow())
                throw new UnavailableException("cluster-unauthorized",
                    $"the client certificate of context \"{context}\" ended on {end:yyyy-MM-dd HH:mm}Z; " +
                    "fetch a fresh kubeconfig");
            return new Cluster(new Kubernetes(configuration), configuration, context, log, time);
        }
        catch (Exception error)
            when (error is k8s.Exceptions.KubeConfigException or System.Security.Cryptography.CryptographicException
                or FormatException or IOException)
        {
            throw new UsageException(
                $"the kubeconfig's context \"{context}\" cannot be used: {error.Message}", error)
            { Fault = Fault.Environment };
        }
    }

    /// <summary>A kubeconfig for this cluster with another user's token: the credentials of a lease.</summary>
    /// <param name="token">Bearer token.</param>
    /// <param name="context">Name of its context, cluster and user.</param>
    /// <param name="ns">The context's namespace; null for none.</param>
    /// <returns>Its content (JSON, which is YAML too).</returns>
    public string KubeconfigWith(string token, string context, string? ns)
    {
        ArgumentNullException.ThrowIfNull(token);
        Log.Mask.Add(token);
        return Kubeconfig.Write(Server, authorityPem, tlsName, token, context, ns);
    }

    /// <summary>Whether the connection's user may do something.</summary>
    /// <param name="verb">Such as <c>create</c>.</param>
    /// <param name="group">API group; empty for the core group.</param>
    /// <param name="resource">Plural, such as <c>namespaces</c>.</param>
    /// <param name="ns">Namespace; null for cluster-wide.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<bool> MayAsync(string verb, string group, string resource, string? ns, CancellationToken cancel)
    {
        var answer = await SendJsonAsync(HttpMethod.Post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", new JsonObject
        {
            ["apiVersion"] = "authorization.k8s.io/v1",
            ["kind"] = "SelfSubjectAccessReview",
            ["spec"] = new JsonObject
            {
                ["resourceAttributes"] = new JsonObject
                {
                    ["verb"] = verb,
                    ["group"] = group,
                    ["resource"] = resource,
                    ["namespace"] = ns ?? ""
                },
            },
        }, JsonType, repeat: true, cancel).ConfigureAwait(false);
        return answer.Flag("status", "allowed") == true;
    }

    /// <summary>Closes the connection and its watches.</summary>
    public void Dispose() => client.Dispose();
}
