using System.Net;
using System.Reflection;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>A namespace of the cluster under test, and what a test does in it.</summary>
internal sealed class Space
{
    /// <summary>How long anything may take: clusters are shared, and pull images.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private Space(string name) => Name = name;

    public string Name { get; }

    private static Kubernetes Client => ConformanceCluster.Client;

    public static async Task<Space> MakeAsync()
    {
        var made = new Space(
            (await Client.CoreV1.CreateNamespaceAsync(new()
            {
                Metadata = new() { GenerateName = "conformance-" }
            })).Metadata.Name);
        // Pods need it, and it comes by itself.
        await made.UntilAsync<V1ServiceAccount>("default", _ => true);
        return made;
    }

    /// <summary>
    /// Asks for the removal of the namespace; nobody waits for it. Null is a namespace that could not be made: that failure is
    /// the one to be told.
    /// </summary>
    public static Task RemoveAsync(Space? space) =>
        space is null ? Task.CompletedTask : Client.CoreV1.DeleteNamespaceAsync(space.Name);

    /// <summary>Creates an object from YAML in which IMAGE stands for the image and NAMESPACE for the namespace.</summary>
    public Task<T> CreateAsync<T>(string yaml)
        where T : IKubernetesObject<V1ObjectMeta>, new()
    {
        var made = KubernetesYaml.Deserialize<T>(Filled(yaml));
        var kind = Kind<T>();
        (made.ApiVersion, made.Kind) = (kind.Group.Length == 0 ? kind.ApiVersion : $"{kind.Group}/{kind.ApiVersion}", kind.Kind);
        return Of<T>().CreateNamespacedAsync(made, Name);
    }

    /// <summary>A pod of one container, named app, that runs a shell script.</summary>
    /// <param name="name">Its name; also its label <c>app</c>.</param>
    /// <param name="script">What the shell runs.</param>
    /// <param name="container">More of the container, as members of a YAML flow mapping.</param>
    /// <param name="pod">More of the pod's specification, likewise.</param>
    public Task<V1Pod> RunAsync(string name, string script, string container = "", string pod = "") => CreateAsync<V1Pod>($$$"""
        metadata: {name: {{{name}}}, labels: {app: {{{name}}}}}
        spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: IMAGE,
          command: [sh, -c, {{{JsonSerializer.Serialize(script)}}}]{{{More(container)}}}}]{{{More(pod)}}}}
        """);

    /// <summary>The object as soon as it fulfils the condition.</summary>
    public Task<T> UntilAsync<T>(string name, Func<T, bool> condition)
        where T : IKubernetesObject<V1ObjectMeta> =>
        UntilAnyAsync<T>(o => o.Metadata.Name == name && condition(o), $"'{name}'");

    /// <summary>The first object that fulfils the condition.</summary>
    public async Task<T> UntilAnyAsync<T>(Func<T, bool> condition, string what = "any")
        where T : IKubernetesObject<V1ObjectMeta>
    {
        using var limit = new CancellationTokenSource(Patience);
        var last = new SortedDictionary<string, T>();
        try
        {
            while (true)
            {
                await foreach (var (type, obj) in Of<T>().WatchNamespacedAsync<T>(Name, cancel: limit.Token))
                {
                    if (type == WatchEventType.Deleted)
                        continue;
                    last[obj.Metadata.Name] = obj;
                    if (condition(obj))
                        return obj;
                }
            }
        }
        catch (Exception e)
            when (limit.IsCancellationRequested && e is OperationCanceledException or IOException or HttpRequestException)
        {
            var events = await Client.CoreV1.ListNamespacedEventAsync(Name);
            throw new AssertionException(
                $"{what} of {typeof(T).Name} in {Name} did not get there; " +
                $"last:\n{string.Join('\n', last.Values.Select(o => KubernetesJson.Serialize(o)))}\n"
                    + string.Join(
                        '\n',
                        events.Items.Select(
                            ev => $"{ev.InvolvedObject.Kind}/{ev.InvolvedObject.Name} {ev.Reason}: {ev.Message}")));
        }
    }

    public Task<V1Pod> UntilReadyAsync(string pod) => UntilAsync<V1Pod>(pod, p => Condition(p, "Ready")?.Status == "True");

    /// <summary>The pod when it has ended, well or not.</summary>
    public Task<V1Pod> UntilEndedAsync(string pod) => UntilAsync<V1Pod>(pod, p => p.Status.Phase is "Succeeded" or "Failed");

    /// <summary>The pod when its only container waits for this reason.</summary>
    public Task<V1Pod> UntilWaitingAsync(string pod, string reason) =>
        UntilAsync<V1Pod>(pod, p => p.Status.ContainerStatuses?.Any(c => c.State.Waiting?.Reason == reason) == true);

    /// <summary>An event about the object with this reason.</summary>
    public Task<Corev1Event> UntilEventAsync(string name, string reason) =>
        UntilAnyAsync<Corev1Event>(e => e.InvolvedObject.Name == name && e.Reason == reason, $"event {reason} of '{name}'");

    public async Task<string> LogAsync(string pod, string? container = null, int? tail = null, bool? previous = null)
    {
        await using var log = await Client.CoreV1.ReadNamespacedPodLogAsync(
            pod, Name, container: container, tailLines: tail, previous: previous);
        using var reader = new StreamReader(log);
        return await reader.ReadToEndAsync();
    }

    /// <summary>Runs a command in a pod over the C# client.</summary>
    public async Task<(int Code, string Output, string Error)> ExecAsync(string pod, params string[] command)
    {
        using var limit = new CancellationTokenSource(Patience);
        var (output, error) = ("", "");
        var code = await Client.NamespacedPodExecAsync(pod, Name, "app", command, false, async (_, stdout, stderr) =>
        {
            using var reader = new StreamReader(stdout);
            using var errors = new StreamReader(stderr);
            var said = errors.ReadToEndAsync(limit.Token);
            output = await reader.ReadToEndAsync(limit.Token);
            error = await said;
        }, limit.Token);
        return (code, output, error);
    }

    /// <summary>Runs kubectl in this namespace; it must succeed. IMAGE and NAMESPACE are filled in.</summary>
    public async Task<string> KubectlAsync(string? input, params string[] arguments)
    {
        var (code, output, error) = await TryKubectlAsync(input, arguments);
        Assert.That(code, Is.Zero, $"kubectl {string.Join(' ', arguments)}: {output}{error}");
        return output;
    }

    /// <summary>The same, whatever its end.</summary>
    public async Task<(int Code, string Output, string Error)> TryKubectlAsync(string? input, params string[] arguments)
    {
        await using var kubectl = StartKubectl(arguments);
        return await kubectl.EndAsync(input is null ? null : Filled(input));
    }

    /// <summary>
    /// Waits with kubectl until an object is gone. Several kubectl call it an error when it was gone before they looked.
    /// </summary>
    public async Task UntilGoneAsync(string target)
    {
        var (code, output, error) = await TryKubectlAsync(null, "wait", "--for=delete", target, "--timeout=120s");
        Assert.That(code == 0 || error.Contains("NotFound", StringComparison.Ordinal),
            $"kubectl wait --for=delete {target}: {output}{error}");
    }

    /// <summary>Starts kubectl in this namespace.</summary>
    public KubectlProcess StartKubectl(params string[] arguments) => new(["-n", Name, .. arguments.Select(Filled)]);

    /// <summary>
    /// Returns when a service account of the namespace may do this: authorisers follow the roles a moment later.
    /// </summary>
    public async Task UntilAllowedAsync(string account, string verb, string resource)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            var review = await Client.AuthorizationV1.CreateSubjectAccessReviewAsync(
                new()
                {
                    Spec = new()
                    {
                        User = $"system:serviceaccount:{Name}:{account}",
                        ResourceAttributes = new() { NamespaceProperty = Name, Verb = verb, Resource = resource }
                    }
                },
                cancellationToken: limit.Token);
            if (review.Status.Allowed)
                return;
        }
    }

    /// <summary>What the API answers to a call that it must refuse.</summary>
    public static async Task<(HttpStatusCode Code, V1Status Status)> RefusedAsync(Func<Task> call)
    {
        var refusal = (await Assert.ThrowsAsync<HttpOperationException>(() => call()))!;
        return (refusal.Response.StatusCode, KubernetesJson.Deserialize<V1Status>(refusal.Response.Content));
    }

    public static V1PodCondition? Condition(V1Pod pod, string type) => pod.Status.Conditions?.FirstOrDefault(c => c.Type == type);

    private static GenericClient Of<T>()
    {
        var kind = Kind<T>();
        return new(Client, kind.Group, kind.ApiVersion, kind.PluralName, disposeClient: false);
    }

    private static KubernetesEntityAttribute Kind<T>() => typeof(T).GetCustomAttribute<KubernetesEntityAttribute>()!;

    private static string More(string members) => members.Length == 0 ? "" : ", " + members;

    private string Filled(string text) =>
        text
            .Replace("IMAGE", ConformanceCluster.Image, StringComparison.Ordinal)
            .Replace("NAMESPACE", Name, StringComparison.Ordinal);
}
