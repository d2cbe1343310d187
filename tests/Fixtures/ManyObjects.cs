using System.Net;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CiSteps.Fixtures;

/// <summary>
/// Objects of twenty kinds in one namespace, and watchers over them, through a cluster's front door; for tests and benchmarks of
/// many of both.
/// </summary>
public sealed class ManyObjects : IDisposable
{
    /// <summary>The namespace.</summary>
    public const string Namespace = "many";

    private const string ChangedLabel = "changed";

    // None of them does anything by itself, so that every change is one of ours.
    private static readonly (string Group, string Kind, string Plural, string Body)[] Bodies =
    [
        ("api/v1", "ConfigMap", "configmaps", """{"data":{"key":"value"}}"""),
        ("api/v1", "Secret", "secrets", """{"stringData":{"key":"value"}}"""),
        ("api/v1", "ServiceAccount", "serviceaccounts", """{"automountServiceAccountToken":false}"""),
        ("api/v1", "Service", "services", """{"spec":{"clusterIP":"None","ports":[{"port":80}]}}"""),
        ("api/v1", "Endpoints", "endpoints", """{"subsets":[]}"""),
        (
            "api/v1",
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            """
            {"spec":{"storageClassName":"none","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
            """),
        (
            "api/v1",
            "Event",
            "events",
            """{"involvedObject":{"kind":"Pod","namespace":"many","name":"somebody"},"reason":"Seen","type":"Normal"}"""),
        (
            "api/v1",
            "Pod",
            "pods",
            """
            {"spec":{"schedulingGates":[{"name":"example.com/never"}],
             "containers":[{"name":"c","image":"registry.example/none:1"}]}}
            """),
        (
            "apis/apps/v1",
            "Deployment",
            "deployments",
            """{"spec":{"replicas":0,"paused":true,"selector":{"matchLabels":{"app":"many"}},"template":ALWAYS}}"""),
        (
            "apis/apps/v1",
            "ReplicaSet",
            "replicasets",
            """{"spec":{"replicas":0,"selector":{"matchLabels":{"app":"many"}},"template":ALWAYS}}"""),
        (
            "apis/apps/v1",
            "StatefulSet",
            "statefulsets",
            """{"spec":{"replicas":0,"serviceName":"many","selector":{"matchLabels":{"app":"many"}},"template":ALWAYS}}"""),
        ("apis/apps/v1", "DaemonSet", "daemonsets", """{"spec":{"selector":{"matchLabels":{"app":"many"}},"template":ALWAYS}}"""),
        ("apis/apps/v1", "ControllerRevision", "controllerrevisions", """{"revision":1,"data":{}}"""),
        ("apis/batch/v1", "Job", "jobs", """{"spec":{"suspend":true,"template":NEVER}}"""),
        ("apis/coordination.k8s.io/v1", "Lease", "leases", """{"spec":{"holderIdentity":"somebody"}}"""),
        ("apis/discovery.k8s.io/v1", "EndpointSlice", "endpointslices", """{"addressType":"IPv4","endpoints":[],"ports":[]}"""),
        ("apis/networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", """{"spec":{"podSelector":{}}}"""),
        (
            "apis/networking.k8s.io/v1",
            "Ingress",
            "ingresses",
            """{"spec":{"defaultBackend":{"service":{"name":"many","port":{"number":80}}}}}"""),
        (
            "apis/rbac.authorization.k8s.io/v1",
            "Role",
            "roles",
            """{"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"""),
        (
            "apis/rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "rolebindings",
            """{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"many"},"subjects":[]}"""),
    ];

    private readonly HttpClient client;

    /// <summary>Speaks to the cluster of a kubeconfig with certificates in it.</summary>
    public ManyObjects(string kubeconfig)
    {
        string Value(string key) => Regex.Match(kubeconfig, $@"\b{key}:\s*(\S+)").Groups[1].Value;
        string Decoded(string key) => Encoding.ASCII.GetString(Convert.FromBase64String(Value(key)));
        using var pair = X509Certificate2.CreateFromPem(Decoded("client-certificate-data"), Decoded("client-key-data"));
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck
        };
        policy.CustomTrustStore.ImportFromPem(Decoded("certificate-authority-data"));
        client = new HttpClient(new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            UseProxy = false,
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = [X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null)],
                CertificateChainPolicy = policy,
            },
        })
        {
            BaseAddress = new Uri(Value("server") + "/"),
            DefaultRequestVersion = HttpVersion.Version20,
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>How many kinds there are.</summary>
    public static int Kinds => Bodies.Length;

    /// <summary>Name of the object that <see cref="CreateLastAsync"/> makes of each kind.</summary>
    public const string LastName = "many-1000000";

    /// <summary>Makes the namespace, with the account that its pods need.</summary>
    public async Task MakeNamespaceAsync(CancellationToken cancel)
    {
        await SendAsync(
            HttpMethod.Post,
            "api/v1/namespaces",
            new JsonObject { ["metadata"] = new JsonObject { ["name"] = Namespace } },
            "application/json",
            cancel).ConfigureAwait(false);
        using var response = await client.GetAsync(
            $"api/v1/namespaces/{Namespace}/serviceaccounts?watch=true&fieldSelector=metadata.name=default",
            HttpCompletionOption.ResponseHeadersRead,
            cancel).ConfigureAwait(false);
        using var lines = new StreamReader(await response
            .EnsureSuccessStatusCode().Content
            .ReadAsStreamAsync(cancel).ConfigureAwait(false));
        _ = await lines.ReadLineAsync(cancel).ConfigureAwait(false)
            ?? throw new InvalidOperationException("the namespace's account did not come");
    }

    /// <summary>Creates an object; its name is the number's.</summary>
    public Task CreateAsync(int kind, int number, CancellationToken cancel)
    {
        var (group, name, _, body) = Bodies[kind];
        var obj = (JsonObject)JsonNode.Parse(body
            .Replace("ALWAYS", PodTemplate("Always"), StringComparison.Ordinal)
            .Replace("NEVER", PodTemplate("Never"), StringComparison.Ordinal))!;
        obj["apiVersion"] = group[(group.IndexOf('/', StringComparison.Ordinal) + 1)..];
        obj["kind"] = name;
        obj["metadata"] = new JsonObject { ["name"] = NameOf(number) };
        return SendAsync(HttpMethod.Post, CollectionOf(kind), obj, "application/json", cancel);
    }

    /// <summary>Creates one more object of each kind, whose name tells a watcher that nothing else comes.</summary>
    public Task CreateLastAsync(CancellationToken cancel) =>
        Task.WhenAll(Enumerable.Range(0, Kinds).Select(kind => CreateAsync(kind, 1000000, cancel)));

    /// <summary>Changes a label of an object.</summary>
    public Task ChangeAsync(int kind, int number, string value, CancellationToken cancel) =>
        SendAsync(
            HttpMethod.Patch,
            $"{CollectionOf(kind)}/{NameOf(number)}",
            new JsonObject { ["metadata"] = new JsonObject { ["labels"] = new JsonObject { [ChangedLabel] = value } } },
            "application/merge-patch+json",
            cancel);

    /// <summary>Reads an object.</summary>
    public Task<string> GetAsync(int kind, int number, CancellationToken cancel) =>
        SendAsync(HttpMethod.Get, $"{CollectionOf(kind)}/{NameOf(number)}", null, "", cancel);

    /// <summary>Reads all objects of a kind.</summary>
    public Task<string> ListAsync(int kind, CancellationToken cancel) =>
        SendAsync(HttpMethod.Get, CollectionOf(kind), null, "", cancel);

    /// <summary>Deletes an object.</summary>
    public Task DeleteAsync(int kind, int number, CancellationToken cancel) =>
        SendAsync(HttpMethod.Delete, $"{CollectionOf(kind)}/{NameOf(number)}?propagationPolicy=Background", null, "", cancel);

    /// <summary>Does something for a number of objects of each kind, some at a time.</summary>
    public static Task ForAllAsync(int perKind, Func<int, int, CancellationToken, Task> work, CancellationToken cancel) =>
        Parallel.ForEachAsync(
            Enumerable.Range(0, Kinds * perKind),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancel },
            async (number, end) => await work(number % Kinds, number / Kinds, end).ConfigureAwait(false));

    /// <summary>Opens a watch over a kind from now on.</summary>
    /// <returns>The changes; the watch is open when this returns.</returns>
    public async Task<IAsyncEnumerable<WatchedChange>> WatchAsync(int kind, CancellationToken cancel)
    {
        using var list = JsonDocument.Parse(await SendAsync(
            HttpMethod.Get, CollectionOf(kind) + "?limit=1", null, "", cancel).ConfigureAwait(false));
        var from = list.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString();
        using var request = new HttpRequestMessage(HttpMethod.Get,
            $"{CollectionOf(kind)}?watch=true&resourceVersion={from}")
        { Version = HttpVersion.Version20 };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
        return ReadAsync(response, cancel);

        static async IAsyncEnumerable<WatchedChange> ReadAsync(
            HttpResponseMessage response, [EnumeratorCancellation] CancellationToken end)
        {
            using var _ = response;
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(end).ConfigureAwait(false));
            while (await lines.ReadLineAsync(end).ConfigureAwait(false) is { } line)
            {
                using var change = JsonDocument.Parse(line);
                var metadata = change.RootElement.GetProperty("object").GetProperty("metadata");
                yield return new(
                    change.RootElement.GetProperty("type").GetString()!,
                    metadata.GetProperty("name").GetString()!,
                    long.Parse(metadata.GetProperty("resourceVersion").GetString()!),
                    metadata.TryGetProperty("labels", out var labels) && labels.TryGetProperty(ChangedLabel, out var value)
                        ? value.GetString()
                        : null);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private static string NameOf(int number) => $"many-{number}";

    private static string CollectionOf(int kind) => $"{Bodies[kind].Group}/namespaces/{Namespace}/{Bodies[kind].Plural}";

    private static string PodTemplate(string restart) =>
        $$$"""
        {"metadata":{"labels":{"app":"many"}},
         "spec":{"containers":[{"name":"c","image":"registry.example/none:1"}],"restartPolicy":"{{{restart}}}"}}
        """;

    private async Task<string> SendAsync(HttpMethod method, string path, JsonObject? body, string type, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, path) { Version = HttpVersion.Version20 };
        if (body is not null) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, type);
        using var response = await client.SendAsync(request, cancel).ConfigureAwait(false);
        var text = await response.Content.ReadAsStringAsync(cancel).ConfigureAwait(false);
        return response.IsSuccessStatusCode
            ? text
            : throw new InvalidOperationException($"{method} {path}: {(int)response.StatusCode} {text}");
    }
}

/// <summary>A change that a watcher saw.</summary>
/// <param name="Type">ADDED, MODIFIED or DELETED.</param>
/// <param name="Name">The object's name.</param>
/// <param name="Revision">Its resourceVersion.</param>
/// <param name="Label">What <see cref="ManyObjects.ChangeAsync"/> gave it; null before.</param>
public sealed record WatchedChange(string Type, string Name, long Revision, string? Label);
