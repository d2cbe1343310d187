using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Clusters;

/// <summary>Why a deployment or a test run did not succeed.</summary>
/// <param name="Reason">Stable kebab-case word.</param>
/// <param name="Text">What, which one in quotes, why, and what to do next.</param>
/// <param name="Fault">Whose fault it was. What a cluster says of what was deployed is the change's.</param>
public sealed record StepFailure(string Reason, string Text, Fault Fault = Fault.Change)
{
    /// <summary>
    /// Whether the deployed containers themselves said no: they could not start, crashed, or ran and did not get ready. What
    /// kept them from running (a quota, a node, a registry, a manifest that the cluster does not take) says nothing about the
    /// image.
    /// </summary>
    public bool IsOwn { get; init; }
}

/// <content>Server-side apply of whole sets.</content>
public sealed partial class Cluster
{
    private static readonly TimeSpan DefinitionLimit = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Applies all manifests in kind order (server-side, forced, as <see cref="FieldManager"/>); waits for each custom resource
    /// definition to be served before going on. Applying twice changes nothing.
    /// </summary>
    /// <param name="manifests">With their namespaces set.</param>
    /// <param name="dryRun">Let the server check everything and keep nothing.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>Null when everything is in the cluster; otherwise why one manifest was denied (quota, admission).</returns>
    /// <exception cref="UsageException">The server calls a manifest invalid or does not know its kind.</exception>
    public async Task<StepFailure?> ApplyAsync(ManifestSet manifests, bool dryRun, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(manifests);
        foreach (var item in manifests.InKindOrder().Items)
        {
            var kind = await FindKindAsync(item.ApiVersion, item.Kind, cancel).ConfigureAwait(false)
                ?? throw new UsageException(
                    $"{item.Source}: the cluster {Server.Host} does not know the kind {item.Kind} in \"{item.ApiVersion}\"; " +
                    "correct apiVersion, or deploy its definition with the suite's manifests")
                {
                    Fault = Fault.Change
                };
            try
            {
                var body = (JsonObject)item.Json.DeepClone();
                // The server owns these; somebody's export of a live object must not fail for them.
                body.Remove("status");
                (body["metadata"] as JsonObject)?.Remove("managedFields");
                await ApplyAtAsync(kind.Path(item.Namespace, item.Name), body, dryRun, cancel).ConfigureAwait(false);
            }
            catch (ClusterApiException error)
            {
                if (error.Code == 404 && dryRun) continue;
                if (error.Code == 403)
                    return error.Said.Contains("quota", StringComparison.Ordinal)
                        ? new StepFailure("quota",
                            $"{item.Title} does not fit the quota of namespace \"{item.Namespace}\": {error.Said}; " +
                            "ask for less, or raise the quota")
                        : new StepFailure("denied",
                            $"{item.Title} was denied: {error.Said}; change the manifest ({item.Source}) or the policy that " +
                            "denies it");
                if (error.Code == 404)
                    throw new UsageException(
                        $"{item.Source}: {item.Title} cannot be applied: {error.Said}; " +
                        $"its namespace \"{item.Namespace}\" must exist",
                        error)
                    { Fault = Fault.Change };
                if (error.Code is 400 or 409 or 415 or 422 or 500)
                    throw new UsageException(
                        $"{item.Source}: the cluster does not take {item.Title}: {error.Said}; correct the manifest",
                        error)
                    { Fault = Fault.Change };
                throw new UnavailableException(
                    "cluster-unreachable", $"the cluster did not take {item.Title}: {error.Message}", error);
            }
            if (item.Kind == "CustomResourceDefinition" && !dryRun)
                await AwaitDefinitionAsync(kind, item.Name, cancel).ConfigureAwait(false);
        }
        return null;
    }

    private async Task AwaitDefinitionAsync(Kind kind, string name, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(DefinitionLimit, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await foreach (var change in WatchAsync(
                kind.Collection(null), null, "metadata.name=" + name, either.Token).ConfigureAwait(false))
            {
                if (change.Kind != ChangeKind.Present) continue;
                if (Conditions.Find(change.Item, "Established") is { Status: "True" }) return;
                if (Conditions.Find(change.Item, "NamesAccepted") is { Status: "False" } refused)
                    throw new UsageException(
                        $"the cluster does not accept the names of CustomResourceDefinition \"{name}\": {refused.Message}")
                    {
                        Fault = Fault.Change
                    };
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new UnavailableException("cluster-slow",
                $"CustomResourceDefinition \"{name}\" was not established within {Durations.Show(DefinitionLimit)}; " +
                $"look at it with kubectl describe crd {name}");
        }
    }
}

/// <summary>A condition in an object's status.</summary>
internal sealed record Condition(string Status, string Reason, string Message);

internal static class Conditions
{
    public static Condition? Find(JsonObject item, string type)
    {
        foreach (var node in item.List("status", "conditions") ?? [])
            if (node.Text("type") == type)
                return new Condition(node.Text("status") ?? "", node.Text("reason") ?? "", node.Text("message") ?? "");
        return null;
    }
}
