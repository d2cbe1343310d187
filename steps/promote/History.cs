using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Promote;

/// <summary>What a line of the history says.</summary>
internal static class Results
{
    /// <summary>Written before the first object is applied: whoever finds it knows that it has not ended.</summary>
    public const string RollingOut = "rolling out";

    /// <summary>It serves and passed its gate.</summary>
    public const string Promoted = "promoted";

    /// <summary>Written before the way back begins.</summary>
    public const string RollingBack = "rolling back";

    /// <summary>The way back ended well.</summary>
    public const string RolledBack = "rolled back";

    /// <summary>The way back ended, and what runs now is not healthy.</summary>
    public const string Unhealthy = "rolled back, unhealthy";

    /// <summary>The world went away before it was known.</summary>
    public const string Unknown = "unknown";

    /// <summary>The first version of all failed, and its workload was taken away.</summary>
    public const string Removed = "removed";

    /// <summary>All of them.</summary>
    public static readonly IReadOnlyList<string> All =
        [RollingOut, Promoted, RollingBack, RolledBack, Unhealthy, Unknown, Removed];
}

/// <summary>One line of a target's history.</summary>
/// <param name="Digest">What should run after it.</param>
/// <param name="Previous">What ran before it; null when nothing did.</param>
/// <param name="Commit">Commit of the manifests that went with <paramref name="Digest"/>; empty when unknown.</param>
/// <param name="Build">Build number of the chain that did it.</param>
/// <param name="Who">Who promoted.</param>
/// <param name="When">UTC, to the second.</param>
/// <param name="Result">One of <see cref="Results"/>.</param>
internal sealed record HistoryEntry(string Digest, string? Previous, string Commit, string Build, string Who, string When,
    string Result)
{
    /// <summary>Whether it says what is under way rather than how it ended.</summary>
    public bool IsUnderWay => Result is Results.RollingOut or Results.RollingBack or Results.Unknown;

    /// <summary>Whether what it names served and was healthy.</summary>
    public bool IsGood => Result is Results.Promoted or Results.RolledBack;

    /// <summary>Whether it is about the way to a digest, or the way back from it.</summary>
    public bool IsAbout(string digest) => IsWayBack ? Previous == digest : Digest == digest;

    /// <summary>Whether it goes back rather than on.</summary>
    public bool IsWayBack => Result is Results.RollingBack or Results.RolledBack or Results.Unhealthy;
}

/// <summary>The ConfigMap <c>cisteps-history</c> of a production namespace: per component what was promoted, by whom, when. No
/// secrets, readable with kubectl.</summary>
internal sealed class History(Cluster cluster, string ns)
{
    private const string Name = "cisteps-history";
    private const int Longest = 20;

    /// <summary>Newest first.</summary>
    /// <exception cref="RefusedException">It cannot be read: what ran before is not known then.</exception>
    public async Task<IReadOnlyList<HistoryEntry>> ReadAsync(string component, CancellationToken cancel)
    {
        if (await cluster.FindAsync(Kinds.ConfigMap.Path(ns, Name), cancel) is not { } map) return [];
        return Parse(map.Text("data", component), component);
    }

    /// <summary>Adds an entry at the front, in place of one that says what was under way; two at once both stay, one twice is
    /// once.</summary>
    public async Task AddAsync(string component, HistoryEntry entry, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var map = await cluster.FindAsync(Kinds.ConfigMap.Path(ns, Name), cancel);
            var entries = Parse(map.Text("data", component), component);
            if (entries.Count > 0 && entries[0] == entry) return;
            var text = Write([entry, .. entries.Skip(entries.Count > 0 && entries[0].IsUnderWay ? 1 : 0).Take(Longest - 1)]);
            try
            {
                if (map is null)
                {
                    await cluster.CreateAsync(Kinds.ConfigMap.Collection(ns), new JsonObject
                    {
                        ["apiVersion"] = "v1",
                        ["kind"] = "ConfigMap",
                        ["metadata"] = new JsonObject
                        {
                            ["name"] = Name,
                            ["namespace"] = ns,
                            ["labels"] = new JsonObject { [Labels.ManagedBy] = Cluster.FieldManager }
                        },
                        ["data"] = new JsonObject { [component] = text },
                    }, cancel);
                    return;
                }
                map["data"] ??= new JsonObject();
                map["data"]![component] = text;
                await cluster.ReplaceAsync(Kinds.ConfigMap.Path(ns, Name), map, cancel);
                return;
            }
            catch (ClusterApiException conflict) when (conflict.Code == 409 && attempt < 10)
            {
                // Somebody else wrote in between: read again.
            }
        }
    }

    private IReadOnlyList<HistoryEntry> Parse(string? text, string component)
    {
        if (text is null) return [];
        try
        {
            // An entry that lacks its sense must not pass for one that says that all is well, nor for none.
            if (OutsideJson.Read(text, $"the ConfigMap \"{Name}\"") is not JsonArray list)
                throw Unreadable("it is not a list of entries");
            return [.. list.Objects().Select(node => new HistoryEntry(
                node.Text("digest") ?? throw Unreadable("an entry has no digest"), node.Text("previous"),
                node.Text("commit") ?? "", node.Text("build") ?? "", node.Text("who") ?? "", node.Text("when") ?? "",
                node.Text("result") is { } result && Results.All.Contains(result) ? result
                    : throw Unreadable($"\"{node.Text("result")}\" is not a result that this version knows")))];
        }
        catch (OutsideJsonException wrong)
        {
            throw Unreadable(wrong.What);
        }

        RefusedException Unreadable(string why) => new("history-unreadable",
            $"what was promoted of \"{component}\" is written in the ConfigMap \"{Name}\" of " +
            $"namespace \"{ns}\", which cannot be read: {why}; mend that entry, or take it out when what runs there " +
                "is known to be good");
    }

    private static string Write(IReadOnlyList<HistoryEntry> entries)
    {
        // One entry per line, so that kubectl get -o yaml reads as a list.
        return "[\n" + string.Join(",\n", entries.Select(entry => new JsonObject
        {
            ["when"] = entry.When,
            ["result"] = entry.Result,
            ["digest"] = entry.Digest,
            ["previous"] = entry.Previous,
            ["commit"] = entry.Commit,
            ["build"] = entry.Build,
            ["who"] = entry.Who,
        }.ToJsonString())) + "\n]\n";
    }
}
