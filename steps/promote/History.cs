using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting.Json;

namespace CiSteps.Promote;

/// <summary>The ConfigMap <c>cisteps-history</c> of a production namespace: per component what was promoted, by whom, when. No secrets, readable with kubectl.</summary>
internal sealed class History(Cluster cluster, string ns)
{
    private const string Name = "cisteps-history";
    private const int Longest = 20;

    /// <summary>Newest first; what cannot be read counts as nothing.</summary>
    public async Task<IReadOnlyList<HistoryEntry>> ReadAsync(string component, CancellationToken cancel)
    {
        if (await cluster.FindAsync(Kinds.ConfigMap.Path(ns, Name), cancel) is not { } map) return [];
        return Parse(map.Text("data", component));
    }

    /// <summary>Adds an entry at the front; two at once both stay.</summary>
    public async Task AddAsync(string component, HistoryEntry entry, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            var map = await cluster.FindAsync(Kinds.ConfigMap.Path(ns, Name), cancel);
            var entries = Parse(map.Text("data", component));
            var text = Write([entry, .. entries.Take(Longest - 1)]);
            try
            {
                if (map is null)
                {
                    await cluster.CreateAsync(Kinds.ConfigMap.Collection(ns), new JsonObject
                    {
                        ["apiVersion"] = "v1",
                        ["kind"] = "ConfigMap",
                        ["metadata"] = new JsonObject { ["name"] = Name, ["namespace"] = ns, ["labels"] = new JsonObject { [Labels.ManagedBy] = Cluster.FieldManager } },
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

    private static IReadOnlyList<HistoryEntry> Parse(string? text)
    {
        if (text is null) return [];
        try
        {
            return [.. OutsideJson.Read(text, $"the ConfigMap \"{Name}\"").Objects().Select(node => new HistoryEntry(
                node.Text("digest") ?? "", node.Text("previous"), node.Text("commit") ?? "", node.Text("build") ?? "",
                node.Text("who") ?? "", node.Text("when") ?? "", node.Text("result") ?? ""))];
        }
        catch (OutsideJsonException)
        {
            return [];
        }
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
