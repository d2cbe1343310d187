using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Cli.Pruning;

/// <summary>Which images the objects of a production namespace name: what runs, and what a roll-back would run again.</summary>
internal static partial class ProductionImages
{
    // Replica sets and revisions hold earlier templates; the history of promotions stands in a ConfigMap.
    private static readonly Kind[] Holders = [
        Kinds.Pod, Kinds.Deployment, Kinds.ReplicaSet, Kinds.StatefulSet, Kinds.DaemonSet, Kinds.ControllerRevision, Kinds.Job,
        Kinds.ConfigMap
    ];

    private static readonly (string ApiVersion, string Kind)[] Sometimes = [("batch/v1", "CronJob")];

    /// <summary>
    /// Adds digests and <c>repository:tag</c> with where they were found. Too much is better than too little: whatever looks like
    /// one counts.
    /// </summary>
    /// <exception cref="UnavailableException">The cluster does not answer, or does not let this kubeconfig read.</exception>
    public static async Task ReadAsync(
        ProductionTarget target,
        string kubeconfig,
        Dictionary<string, string> found,
        StepContext context,
        CancellationToken cancel)
    {
        using var cluster = await Cluster.ConnectAsync(kubeconfig, context.Log, context.Time, cancel);
        var all = Holders.ToList();
        foreach (var (version, name) in Sometimes)
            if (await cluster.FindKindAsync(version, name, cancel) is { } kind) all.Add(kind);
        foreach (var kind in all)
        {
            foreach (var item in await ListAsync(cluster, kind, target.Namespace, cancel))
                foreach (var name in In(item))
                    found.TryAdd(name, $"{kind.Name} {(string?)item["metadata"]?["name"]} of {target.Name}");
        }
    }

    /// <summary>What an object names.</summary>
    internal static IEnumerable<string> In(JsonNode? node) => node switch
    {
        JsonObject json => json.SelectMany(pair => In(pair.Value)),
        JsonArray array => array.SelectMany(In),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => In((string)value!),
        _ => [],
    };

    private static IEnumerable<string> In(string text)
    {
        foreach (Match match in Digest().Matches(text)) yield return match.Value;
        // The same image has several names ("acme/x:1", "index.docker.io/acme/x:1"): it counts by the one that the
        // plan looks it up by.
        if (text.Length < 512 && ImageReference.TryParse(text, out var image, out _) && image.Tag is not null)
            yield return $"{image.Repository}:{image.Tag}";
    }

    private static async Task<IReadOnlyList<JsonObject>> ListAsync(
        Cluster cluster, Kind kind, string ns, CancellationToken cancel)
    {
        try
        {
            return (await cluster.ListAsync(kind.Collection(ns), null, null, cancel)).Items;
        }
        catch (ClusterApiException failure)
        {
            throw new UnavailableException("cluster", $"what production runs cannot be read: {failure.Message}", failure);
        }
    }

    [GeneratedRegex("sha256:[0-9a-f]{64}")]
    private static partial Regex Digest();
}
