using System.Globalization;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>What is written down of a place: in its history, on its workload, in the evidence.</summary>
internal sealed class Records(StepContext context, ChainRun run, OpenTargets clusters)
{
    private static readonly TimeSpan TimeToLook = TimeSpan.FromSeconds(8);

    /// <summary>A line of the history, of now and of whoever does it.</summary>
    public HistoryEntry Entry(string digest, string? previous, string commit, string result) =>
        new(digest, previous, commit, run.Identity.BuildNumber,
        context.Options.Find(PromoteCommand.Who) ?? Environment.UserName,
        context.Time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture), result);

    /// <summary>Writes a line of the history.</summary>
    /// <exception cref="UnavailableException">The cluster does not take it.</exception>
    public async Task WriteAsync(Destination place, HistoryEntry entry, CancellationToken cancel)
    {
        try
        {
            await clusters[place.Target].RecordAsync(place.Target.Namespace, place.Component.Name, entry, cancel);
        }
        catch (ClusterApiException refusal)
        {
            throw new UnavailableException("cluster-refused",
                $"the history of {place.Title} could not be written: {refusal.Message}", refusal);
        }
    }

    /// <summary>Writes a line where its absence costs no more than a wait: the next run looks again then.</summary>
    public async Task TryWriteAsync(Destination place, HistoryEntry entry, Patience patience, CancellationToken cancel)
    {
        try
        {
            await patience.DoAsync(token => WriteAsync(place, entry, token), cancel);
        }
        catch (Exception broken) when (broken is UnavailableException or RefusedException or OperationCanceledException)
        {
            context.Log.Warning($"the history of {place.Title} could not be written: " +
                (broken is OperationCanceledException ? "stopped before the cluster answered" : broken.Message));
        }
    }

    /// <summary>What runs in all places now, read after the last write; what cannot be read is not known.</summary>
    public async Task<IReadOnlyList<PromotedWorkload>> StateAsync(Facts facts, IReadOnlyDictionary<Destination, string?> previous)
    {
        var state = new List<PromotedWorkload>();
        using var limit = new CancellationTokenSource(TimeToLook, context.Time);
        foreach (var place in facts.Places)
        {
            var (digest, said) = (default(string), "unknown");
            try
            {
                var cluster = clusters[place.Target];
                var live = await cluster.FindAsync(place.Component.Workload!, place.Target.Namespace, limit.Token);
                var history = await cluster.HistoryAsync(place.Target.Namespace, place.Component.Name, limit.Token);
                (digest, said) = (live?.Digest, live is null ? "nothing runs" : history.Count > 0 ? history[0].Result
                    : "never promoted");
            }
            catch (Exception broken) when (
                broken is UnavailableException or UsageException or RefusedException or ClusterApiException
                    or OperationCanceledException)
            {
                context.Log.Warning($"it is not known what {place.Component.Name} runs in {place.Target.Name} now: " +
                    $"{broken.Message}");
            }
            state.Add(new PromotedWorkload(place.Component.Name, place.Target.Name, digest,
                previous.GetValueOrDefault(place))
            { State = said });
        }
        return state;
    }

    /// <summary>Manifests with what the workload says of itself.</summary>
    public static ManifestSet Marked(Destination place, ManifestSet manifests, string digest, string commit, string build,
        string fingerprint) =>
        manifests.WithAnnotations(place.Component.Workload!.Kind, place.Component.Workload.Name, new Dictionary<string, string>
        {
            [Annotations.Digest] = digest,
            [Annotations.Commit] = commit,
            [Annotations.Build] = build,
            [Annotations.Manifests] = fingerprint,
        });
}

/// <summary>What promote writes on a workload.</summary>
internal static class Annotations
{
    public const string Digest = "cisteps.dev/promoted-digest";
    public const string Commit = "cisteps.dev/promoted-commit";
    public const string Build = "cisteps.dev/promoted-build";
    public const string Manifests = "cisteps.dev/promoted-manifests";
}
