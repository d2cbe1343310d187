using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.RunChain.Agents;
using CiSteps.RunChain.Records;

namespace CiSteps.RunChain.Sandboxes;

/// <summary>What is written down of a sandbox that runs in the background.</summary>
/// <param name="ProcessId">Its process.</param>
/// <param name="StartedAt">The process's start, so that a later process of the same number is not taken for it.</param>
/// <param name="Clusters">Names.</param>
/// <param name="Pool">Testbeds by class.</param>
internal sealed record SandboxState(int ProcessId, string StartedAt, IReadOnlyList<string> Clusters, IReadOnlyDictionary<string, IReadOnlyList<string>> Pool)
{
    private const string FileName = "sandbox.json";

    /// <summary>Whether the process still lives.</summary>
    public bool IsAlive => ProcessTree.StartOf(ProcessId) == StartedAt;

    public static SandboxState OfThisProcess(SandboxPlan plan) =>
        new(Environment.ProcessId, ProcessTree.StartOf(Environment.ProcessId) ?? "", plan.Clusters, plan.Pool);

    /// <summary>What the folder says; null when nothing readable is there.</summary>
    public static SandboxState? Read(string folder)
    {
        try
        {
            var file = Path.Combine(folder, FileName);
            if (!File.Exists(file) || JsonNode.Parse(File.ReadAllText(file)) is not JsonObject json) return null;
            var pool = (json["pool"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => Names(pair.Value), StringComparer.Ordinal);
            return new(int.Parse((string?)json["process"] ?? "", CultureInfo.InvariantCulture), (string?)json["startedAt"] ?? "", Names(json["clusters"]), pool);
        }
        catch (Exception error) when (error is JsonException or FormatException or IOException or InvalidOperationException)
        {
            return null;
        }
    }

    public void Write(string folder)
    {
        var pool = new JsonObject();
        foreach (var (name, members) in Pool) pool[name] = Array(members);
        ChainRecord.WriteJson(Path.Combine(folder, FileName), new JsonObject
        {
            ["process"] = ProcessId.ToString(CultureInfo.InvariantCulture),
            ["startedAt"] = StartedAt,
            ["clusters"] = Array(Clusters),
            ["pool"] = pool,
        });
    }

    /// <summary>Forgets it, with the kubeconfigs.</summary>
    public static void Remove(string folder)
    {
        if (!Directory.Exists(folder)) return;
        foreach (var file in Directory.GetFiles(folder, "*.kubeconfig")) File.Delete(file);
        File.Delete(Path.Combine(folder, FileName));
    }

    private static JsonArray Array(IEnumerable<string> names) => new([.. names.Select(name => (JsonNode)name)]);

    private static IReadOnlyList<string> Names(JsonNode? node) => [.. (node as JsonArray ?? []).Select(name => (string?)name ?? "")];
}
