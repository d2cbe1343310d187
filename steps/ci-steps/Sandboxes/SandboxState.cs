using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Cli.Agents;
using CiSteps.Cli.Records;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Cli.Sandboxes;

/// <summary>What is written down of a sandbox that runs in the background.</summary>
/// <param name="ProcessId">Process that serves the sandbox.</param>
/// <param name="StartedAt">The process's start, so that a later process of the same number is not taken for it.</param>
/// <param name="Clusters">Names.</param>
/// <param name="Pool">Testbeds by class.</param>
internal sealed record SandboxState(
    int ProcessId, string StartedAt, IReadOnlyList<string> Clusters, IReadOnlyDictionary<string, IReadOnlyList<string>> Pool)
{
    private const string FileName = "sandbox.json";

    // What opening says when another process holds the file: "would block" of flock, or Windows' sharing violation.
    private const int LockedOnLinux = 11;
    private const int LockedOnMacOs = 35;
    private const int LockedOnWindows = unchecked((int)0x80070020);

    private static readonly TimeSpan LockLook = TimeSpan.FromMilliseconds(100);

    /// <summary>Whether the process still lives.</summary>
    public bool IsAlive => RunningProcess.StartOf(ProcessId) == StartedAt;

    public static SandboxState OfThisProcess(SandboxPlan plan) =>
        new(Environment.ProcessId, RunningProcess.StartOf(Environment.ProcessId) ?? "", plan.Clusters, plan.Pool);

    /// <summary>Whether it has these clusters, with these testbeds.</summary>
    public bool IsOf(SandboxPlan plan) => Clusters.Order().SequenceEqual(plan.Clusters.Order())
        && Pool.Count == plan.Pool.Count
            && Pool.All(
                known => plan.Pool.TryGetValue(known.Key, out var members) && members.Order().SequenceEqual(known.Value.Order()));

    /// <summary>Makes the folder, for its owner only: it holds credentials.</summary>
    /// <exception cref="UsageException">It cannot be made.</exception>
    public static void MakeFolder(string folder)
    {
        try
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
            else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException(
                $"the sandbox's folder \"{folder}\" cannot be made: {error.Message}; give another --state", error);
        }
    }

    /// <summary>
    /// Keeps every other process from bringing a sandbox up or down in the folder, until disposed or this process ends; waits
    /// while another one does.
    /// </summary>
    /// <exception cref="UsageException">The folder cannot be written.</exception>
    public static async Task<IDisposable> LockAsync(string folder, TimeProvider time, CancellationToken cancel)
    {
        MakeFolder(folder);
        var file = Path.Combine(folder, "lock");
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException error) when (error.HResult is LockedOnLinux or LockedOnMacOs or LockedOnWindows)
            {
                await Task.Delay(LockLook, time, cancel);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UsageException(
                    $"the sandbox's folder \"{folder}\" cannot be written: {error.Message}; give another --state", error);
            }
        }
    }

    /// <summary>What the folder says; null when nothing readable is there.</summary>
    public static SandboxState? Read(string folder)
    {
        try
        {
            var file = Path.Combine(folder, FileName);
            if (!File.Exists(file)) return null;
            var json = OutsideJson.ReadObjectFile(file);
            var pool = (json.Map("pool") ?? []).ToDictionary(pair => pair.Key, pair => Names(pair.Value), StringComparer.Ordinal);
            return new(
                int.Parse(json.Text("process") ?? "", CultureInfo.InvariantCulture),
                json.Text("startedAt") ?? "",
                Names(json["clusters"]),
                pool);
        }
        catch (Exception error) when (error is OutsideJsonException or FormatException or OverflowException or IOException)
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

    private static IReadOnlyList<string> Names(JsonNode? node) => [.. node.Texts()];
}
