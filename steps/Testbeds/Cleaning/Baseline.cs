using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Cleaning;

/// <summary>What a testbed looks like when clean, kept in a ConfigMap beside it.</summary>
internal static class Baseline
{
    public static string NameOf(string testbed) => testbed + "-baseline";

    public static async Task WriteAsync(
        Cluster management, string ns, Testbed testbed, IReadOnlyList<TestbedObject> items, CancellationToken cancel) =>
        await management.PutAsync(Kinds.ConfigMap, ns, new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject
            {
                ["name"] = NameOf(testbed.Name),
                ["namespace"] = ns,
                ["labels"] = new JsonObject { [PoolKinds.TestbedLabel] = testbed.Name },
                ["ownerReferences"] = new JsonArray((JsonNode)new JsonObject
                {
                    ["apiVersion"] = PoolKinds.ApiVersion,
                    ["kind"] = PoolKinds.Testbed.Name,
                    ["name"] = testbed.Name,
                    ["uid"] = testbed.Uid,
                }),
            },
            ["data"] = new JsonObject { ["objects"] = string.Concat(items.Select(item => item.Id + "\n")) },
        }, cancel).ConfigureAwait(false);

    /// <summary>The ids; null when no baseline was taken.</summary>
    public static async Task<IReadOnlySet<string>?> ReadAsync(
        Cluster management, string ns, string testbed, CancellationToken cancel) =>
        (await management.FindAsync(
            Kinds.ConfigMap.Path(ns, NameOf(testbed)), cancel).ConfigureAwait(false))?.Text("data", "objects") is { } lines
            ? lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal) : null;
}
