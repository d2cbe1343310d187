using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>
/// Requests that make no sense, as no well-behaved client sends them: refused with the code and the words that Kubernetes has for
/// them, and nothing done.
/// </summary>
internal sealed class Refusals
{
    private const string Json = "application/json";
    private const string Merge = "application/merge-patch+json";
    private const string Apply = "application/apply-patch+yaml";

    private string ns = "";

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Make_a_namespace_with_an_object()
    {
        ns = (await Client.CoreV1.CreateNamespaceAsync(new()
        {
            Metadata = new() { GenerateName = "conformance-" }
        })).Metadata.Name;
        await Client.CoreV1.CreateNamespacedConfigMapAsync(
            new() { Metadata = new() { Name = "there" }, Data = new Dictionary<string, string> { ["k"] = "1" } }, ns);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var accounts = new GenericClient(Client, "", "v1", "serviceaccounts", disposeClient: false);
        // Without it every pod is refused, for that reason.
        await foreach (var (_, account) in accounts.WatchNamespacedAsync<V1ServiceAccount>(ns, cancel: limit.Token))
        {
            if (account.Metadata.Name == "default")
                break;
        }
    }

    [OneTimeTearDown]
    public Task Remove_the_namespace() => Client.CoreV1.DeleteNamespaceAsync(ns);

    [TestCase("labelSelector=x%3D%3D%3D1", 400, "found '=', expected: identifier")]
    [TestCase("fieldSelector=x", 400, "can't understand 'x'")]
    [TestCase("fieldSelector=data.k%3D1", 400, "\"data.k\" is not a known field selector")]
    [TestCase("limit=x", 400, "parsing \"x\": invalid syntax")]
    [TestCase("limit=1&continue=abc", 400, "continue key is not valid")]
    [TestCase("resourceVersion=abc", 400, "invalid resource version")]
    [TestCase("resourceVersion=999999999999", 504, "Too large resource version: 999999999999")]
    [TestCase("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
    public async Task A_list_that_cannot_be(string query, int code, string words) =>
        await RefuseAsync(HttpMethod.Get, $"configmaps?{query}", null, Json, code, words);

    [TestCase("configmaps", """{"metadata":{"name":"Upper"}}""", 422, "a lowercase RFC 1123 subdomain must consist of")]
    [TestCase(
        "pods",
        """
        {"metadata":{"name":"p"},"spec":{"ephemeralContainers":[{"name":"d","image":"i","terminationMessagePolicy":"File"}],
         "containers":[{"name":"c","image":"i"}]}}
        """,
        422,
        "spec.ephemeralContainers: Forbidden: cannot be set on create")]
    [TestCase("configmaps", """{"metadata":{}}""", 422, "metadata.name: Required value: name or generateName is required")]
    [TestCase(
        "configmaps",
        """{"metadata":{"name":"x","namespace":"elsewhere"}}""",
        400,
        "the namespace of the provided object does not match the namespace sent on the request")]
    [TestCase(
        "configmaps",
        """{"metadata":{"name":"x","finalizers":["plain"]}}""",
        422,
        "metadata.finalizers[0]: Invalid value: \"plain\": name is neither a standard finalizer name nor is it fully qualified")]
    [TestCase(
        "configmaps?dryRun=Yes",
        """{"metadata":{"name":"x"}}""",
        422,
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Yes\"]: supported values: \"All\"")]
    [TestCase(
        "configmaps?fieldValidation=Strict",
        """{"metadata":{"name":"x"},"dta":{}}""",
        400,
        "strict decoding error: unknown field \"dta\"")]
    [TestCase(
        "secrets",
        """{"metadata":{"name":"x"},"type":"kubernetes.io/basic-auth"}""",
        422,
        "data[username]: Required value")]
    [TestCase(
        "secrets",
        """{"metadata":{"name":"x"},"type":"kubernetes.io/ssh-auth"}""",
        422,
        "data[ssh-privatekey]: Required value")]
    [TestCase("secrets", """{"metadata":{"name":"x"},"type":"kubernetes.io/tls"}""", 422, "data[tls.crt]: Required value")]
    [TestCase(
        "services",
        """{"metadata":{"name":"x"},"spec":{"clusterIP":"1.2.3.4","ports":[{"port":80}]}}""",
        422,
        "failed to allocate IP 1.2.3.4: the provided network does not match the current range")]
    [TestCase(
        "services",
        """{"metadata":{"name":"x"},"spec":{"ports":[{"port":80},{"port":81}]}}""",
        422,
        "spec.ports[0].name: Required value")]
    [TestCase(
        "resourcequotas",
        """{"metadata":{"name":"x"},"spec":{"hard":{"nonsense":"2"}}}""",
        422,
        "spec.hard[nonsense]: Invalid value: \"nonsense\": must be a standard resource for quota")]
    public async Task An_object_that_cannot_be(string path, string body, int code, string words) =>
        await RefuseAsync(HttpMethod.Post, path, body, Json, code, words);

    [TestCase(
        """ "image":"x","ports":[{"containerPort":80,"name":"UPPER"}] """,
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")]
    [TestCase(
        """ "image":"x","env":[{"name":"a","valueFrom":{"fieldRef":{"fieldPath":"metadata.nope"}}}] """,
        "error converting fieldPath: field label not supported: metadata.nope")]
    [TestCase(
        """ "image":"x","readinessProbe":{"httpGet":{"port":80},"periodSeconds":-1} """,
        "readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0")]
    [TestCase(
        """ "image":"x","readinessProbe":{"tcpSocket":{"port":0}} """,
        "readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive")]
    [TestCase(
        """ "image":"x","volumeMounts":[{"name":"none","mountPath":"/x"}] """,
        "spec.containers[0].volumeMounts[0].name: Not found: \"none\"")]
    [TestCase(
        """ "image":"x","volumeMounts":[{"name":"v","mountPath":"/x","subPath":"../other"}] """,
        "spec.containers[0].volumeMounts.subPath: Invalid value: \"../other\": must not contain '..'")]
    [TestCase(
        """ "image":"x","volumeMounts":[{"name":"v","mountPath":"/x","subPathExpr":"/a"}] """,
        "spec.containers[0].volumeMounts.subPathExpr: Invalid value: \"/a\": must be a relative path")]
    [TestCase(""" "image":"" """, "spec.containers[0].image: Required value")]
    public async Task A_container_that_cannot_be(string members, string words) =>
        await RefuseAsync(
            HttpMethod.Post,
            "pods",
            $$$"""{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c",{{{members}}}}]}}""",
            Json,
            422,
            words);

    [TestCase(
        Merge,
        "configmaps/there?force=true",
        """{"data":{}}""",
        422,
        "force: Forbidden: may not be specified for non-apply patch")]
    [TestCase(
        Merge,
        "configmaps/there",
        """{"metadata":{"uid":"00000000-0000-0000-0000-000000000000"}}""",
        422,
        "metadata.uid: Invalid value: \"00000000-0000-0000-0000-000000000000\": field is immutable")]
    [TestCase(
        Merge,
        "configmaps/there",
        """{"metadata":{"resourceVersion":"1"},"data":{"k":"2"}}""",
        409,
        "the object has been modified; please apply your changes to the latest version and try again")]
    [TestCase(Merge, "configmaps/nobody", "{}", 404, "configmaps \"nobody\" not found")]
    [TestCase(
        Apply,
        "configmaps/there",
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"there"}}""",
        422,
        "fieldManager: Required value: is required for apply patch")]
    [TestCase(
        Apply,
        "configmaps/new?fieldManager=t",
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"},"dta":null}""",
        500,
        "failed to create typed patch object (/new; /v1, Kind=ConfigMap): .dta: field not declared in schema")]
    [TestCase(Apply, "configmaps/new?fieldManager=t&fieldValidation=Ignore",
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new","lables":{"a":"b"}}}""",
        500,
        ".metadata.lables: field not declared in schema")]
    [TestCase(Apply, "pods/new?fieldManager=t", """
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"new"},"spec":{"containers":[{"name":"c","image":"x","imag":"y"}]},
         "more":1}
        """, 500, ".spec.containers[name=\"c\"].imag: field not declared in schema")]
    [TestCase(
        Merge,
        "configmaps/there?fieldValidation=Strict",
        """{"dta":{"k":"2"}}""",
        400,
        "strict decoding error: unknown field \"dta\"")]
    public async Task A_patch_that_cannot_be(string media, string path, string body, int code, string words) =>
        await RefuseAsync(HttpMethod.Patch, path, body, media, code, words);

    [TestCase(
        """{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}""",
        409,
        "the UID in the precondition (00000000-0000-0000-0000-000000000000) does not match the UID in record")]
    [TestCase(
        """{"preconditions":{"resourceVersion":"1"}}""",
        409,
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record")]
    [TestCase("""{"propagationPolicy":"Sideways"}""", 422, "propagationPolicy: Unsupported value: \"Sideways\"")]
    public async Task A_deletion_that_must_not_be(string body, int code, string words) =>
        await RefuseAsync(HttpMethod.Delete, "configmaps/there", body, Json, code, words);

    [Test]
    public async Task The_namespace_of_the_system_stays()
    {
        var (code, answer) = await AskAsync(HttpMethod.Delete, "api/v1/namespaces/kube-system?dryRun=All", null, Json);

        Assert.That(
            (code, Message(answer)),
            Is.EqualTo((403, "namespaces \"kube-system\" is forbidden: this namespace may not be deleted")));
    }

    [Test]
    public async Task What_was_only_tried_has_no_version()
    {
        var (code, answer) = await AskAsync(
            HttpMethod.Post,
            Path("configmaps?dryRun=All"),
            """{"metadata":{"name":"tried"}}""",
            Json);

        var metadata = answer.GetProperty("metadata");
        Assert.That(
            (code, metadata.TryGetProperty("uid", out _), metadata.TryGetProperty("resourceVersion", out _)),
            Is.EqualTo((201, true, false)));
    }

    [Test]
    public async Task A_pod_without_a_node_has_an_empty_log_and_no_way_in()
    {
        await AskAsync(
            HttpMethod.Post,
            Path("pods"),
            """{"metadata":{"name":"nowhere"},"spec":{"nodeSelector":{"none":"such"},"containers":[{"name":"c","image":"x"}]}}""",
            Json);

        Assert.That((await AskAsync(HttpMethod.Get, Path("pods/nowhere/log"), null, Json)).Code, Is.EqualTo(204));
        await RefuseAsync(HttpMethod.Get, "pods/nowhere/log?tailLines=-1", null, Json, 422,
            "tailLines: Invalid value: -1: must be greater than or equal to 0");
        await RefuseAsync(
            HttpMethod.Post,
            "pods/nowhere/exec?command=x&stdout=true",
            null,
            Json,
            400,
            "pod nowhere does not have a host assigned");
    }

    [TestCase("""{"metadata":{"name":"gone"}}""", "configmaps", "Status")]
    [TestCase("""{"metadata":{"name":"gone"},"spec":{"ports":[{"port":80}]}}""", "services", "Service")]
    [TestCase("""{"metadata":{"name":"gone"}}""", "serviceaccounts", "ServiceAccount")]
    public async Task A_deletion_answers_as_its_kind_does(string body, string resource, string kind)
    {
        await AskAsync(HttpMethod.Post, Path(resource), body, Json);

        var (code, answer) = await AskAsync(HttpMethod.Delete, Path(resource + "/gone"), null, Json);

        Assert.That((code, answer.GetProperty("kind").GetString()), Is.EqualTo((200, kind)));
    }

    private async Task RefuseAsync(HttpMethod method, string path, string? body, string media, int code, string words)
    {
        var (actual, answer) = await AskAsync(method, Path(path), body, media);

        Assert.That((actual, answer.GetProperty("kind").GetString()), Is.EqualTo((code, "Status")), answer.GetRawText());
        Assert.That(Message(answer), Does.Contain(words));
    }

    private string Path(string path) => $"api/v1/namespaces/{ns}/{path}";

    private static string Message(JsonElement status) => status.GetProperty("message").GetString()!;

    private static async Task<(int Code, JsonElement Answer)> AskAsync(HttpMethod method, string path, string? body, string media)
    {
        using var request = new HttpRequestMessage(method, new Uri(Client.BaseUri, path));
        request.Version = System.Net.HttpVersion.Version20;
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue(media));
        if (Client.Credentials is { } credentials)
            await credentials.ProcessHttpRequestAsync(request, default);
        using var response = await Client.HttpClient.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? default : JsonSerializer.Deserialize<JsonElement>(text));
    }
}
