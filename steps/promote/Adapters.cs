using System.Net.Http;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>The real world behind promote's ports.</summary>
internal static class Adapters
{
    /// <summary>Settings of what is reached.</summary>
    public static IReadOnlyList<StepOption> Options { get; } = [RegistryOptions.CertificateAuthority];

    /// <summary>Registries and clusters as they are.</summary>
    public static Ports World { get; } = new(
        (context, pipeline) => new Registry(RegistryClient.Open(context, pipeline.Registry.PlainHttp, pipeline.Registry.Push,
            pipeline.Registry.Pull)),
        async (kubeconfig, log, time, cancel) => new Production(await Cluster.ConnectAsync(kubeconfig, log, time, cancel)));

    private sealed class Registry(RegistryClient client) : IImages
    {
        public Task<string?> FindDigestAsync(ImageReference image, CancellationToken cancel) =>
            client.FindDigestAsync(image, cancel);

        public async Task<IReadOnlyCollection<string>> DigestsOfAsync(ImageReference image, CancellationToken cancel) =>
            await client.FindImageAsync(image, cancel) is { } found
                ? [image.Digest!, .. found.KnownAs.Where(other => other != image.Digest)] : [image.Digest!];

        public async Task<string?> CommitOfAsync(ImageReference image, CancellationToken cancel) =>
            (await client.FindImageAsync(image, cancel))?.Label(ImageName.RevisionLabel);

        public async Task<bool> TagAsync(ImageReference tag, string digest, string? expected, CancellationToken cancel)
        {
            var now = await client.FindDigestAsync(tag, cancel);
            if (now == digest) return true;
            if (now != expected || await client.FindManifestAsync(tag.WithDigest(digest),
                cancel) is not { } manifest) return false;
            try
            {
                await client.MoveTagAsync(tag, manifest, expected, cancel);
                return true;
            }
            catch (RegistryRefusalException refusal)
            {
                if (refusal.Code == "MOVED") return false;
                throw new UnavailableException("registry-refused",
                    $"the registry does not take the tag \"{tag}\": {refusal.Message}", refusal);
            }
        }

        public async Task<string?> UntagAsync(ImageReference tag, string expected, CancellationToken cancel)
        {
            try
            {
                await client.RemoveTagAsync(tag, expected, cancel);
                return null;
            }
            catch (RegistryRefusalException refusal)
            {
                return refusal.Message;
            }
        }

        public void Dispose() => client.Dispose();
    }

    private sealed class Production(Cluster cluster) : IProduction
    {
        private readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(10) };

        public async Task<IHold> HoldAsync(Destination place, string holder, TimeSpan duration, CancellationToken cancel)
        {
            var (ns, name) = (place.Target.Namespace, "cisteps-promote-" + place.Component.Workload!.Name);
            try
            {
                return await TargetLease.TakeAsync(cluster, ns, name, holder, duration, cancel);
            }
            catch (ClusterApiException absent) when (absent.Code == 404)
            {
                var own = place.Manifests.Where(item => item.Kind == "Namespace" && item.Name == ns);
                if (own.Items.Count == 0)
                    throw new UsageException(
                        $"the namespace \"{ns}\" of the production target \"{place.Target.Name}\" does not exist; " +
                            "make it, or add it to the component's manifests", absent);
                if (await cluster.ApplyAsync(own, dryRun: false, cancel) is { } denied) throw new RefusedException(
                    "rollout-failed", denied.Text);
                return await TargetLease.TakeAsync(cluster, ns, name, holder, duration, cancel);
            }
        }

        public Task<IReadOnlyList<string>> LackAsync(Destination place, CancellationToken cancel) =>
            Rights.LackAsync(cluster, place, cancel);

        public Task<string?> LookAsync(RolloutTarget target, CancellationToken cancel) => Rollout.LookAsync(cluster, target,
            cancel);

        public Task<StepFailure> GuardAsync(RolloutTarget target, CancellationToken cancel) =>
            Rollout.GuardAsync(cluster, target, cancel);

        public Task RemoveAsync(WorkloadDefinition workload, string ns, CancellationToken cancel) =>
            cluster.DeleteAsync(Kinds.Workload(workload.Kind).Path(ns, workload.Name), null, cancel);

        public async Task<LiveWorkload?> FindAsync(WorkloadDefinition workload, string ns, CancellationToken cancel)
        {
            if (await cluster.FindAsync(Kinds.Workload(workload.Kind).Path(ns, workload.Name),
                cancel) is not { } live) return null;
            var container = (live.List("spec", "template", "spec", "containers") ?? []).OfType<JsonObject>()
                .FirstOrDefault(each => each.Text("name") == workload.Container);
            var image = container.Text("image") ?? "";
            var digest = ImageReference.TryParse(image, out var reference, out _) ? reference.Digest : null;
            var annotations = live.Member("metadata", "annotations");
            return new LiveWorkload(digest, annotations.Text(Annotations.Digest),
                annotations.Text(Annotations.Manifests));
        }

        public Task<ManifestSet> SnapshotAsync(ManifestSet manifests, CancellationToken cancel) =>
            cluster.SnapshotAsync(manifests, cancel);

        public Task<StepFailure?> ApplyAsync(ManifestSet manifests, TimeSpan jobLimit, CancellationToken cancel) =>
            cluster.ApplyAfterJobsAsync(manifests, jobLimit, cancel);

        public Task<RolloutResult> RollOutAsync(RolloutTarget target, CancellationToken cancel) =>
            Rollout.WatchAsync(cluster, target, cluster.Log, cancel);

        public async Task<GateAnswer> AskAsync(GateDefinition gate, string ns, CancellationToken cancel)
        {
            if (!Uri.TryCreate(gate.Http, UriKind.Absolute, out var url)) throw new UsageException(
                $"the gate \"{gate.Http}\" is not a URL; write http://…, https://… or service://name:port/path");
            if (url.Scheme == "service")
            {
                var (code, body) = await cluster.ProxyAsync(ns, $"{url.Host}:{(url.Port > 0 ? url.Port : 80)}",
                    url.PathAndQuery, cancel, gate.Headers);
                return gate.Takes(code) ? GateAnswer.Healthy : new GateAnswer(false, $"HTTP {code}: {Short(body)}", code != 404
                    || !body.Contains("\"Status\"", StringComparison.Ordinal));
            }
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, url);
                foreach (var (name, value) in gate.Headers) request.Headers.TryAddWithoutValidation(name, value);
                using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
                return gate.Takes((int)response.StatusCode) ? GateAnswer.Healthy
                    : new GateAnswer(false, $"HTTP {(int)response.StatusCode}");
            }
            catch (Exception error) when (error is HttpRequestException or IOException || error is OperationCanceledException
                && !cancel.IsCancellationRequested)
            {
                throw new UnavailableException("gate-silent", $"{url} gives no answer: {error.Message}", error);
            }
        }

        public Task<IReadOnlyList<HistoryEntry>> HistoryAsync(string ns, string component, CancellationToken cancel) =>
            new History(cluster, ns).ReadAsync(component, cancel);

        public Task RecordAsync(string ns, string component, HistoryEntry entry, CancellationToken cancel) =>
            new History(cluster, ns).AddAsync(component, entry, cancel);

        public Task DiagnoseAsync(string ns, string folder, CancellationToken cancel) => Diagnosis.CollectAsync(cluster, ns,
            folder, cluster.Log, cancel);

        public void Dispose()
        {
            http.Dispose();
            cluster.Dispose();
        }

        private static string Short(string body)
        {
            try
            {
                if (OutsideJson.ReadObject(body, "the answer").Text("message") is { } message) return message;
            }
            catch (OutsideJsonException)
            {
                // Not the API server's own answer.
            }
            body = body.Trim().ReplaceLineEndings(" ");
            return body.Length > 200 ? body[..200] + "…" : body;
        }
    }
}
