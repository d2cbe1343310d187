using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>
/// What a namespace looked like when something failed: a short block in the log and a folder of files. Taken before anything is
/// cleaned. Secrets' values are in neither.
/// </summary>
public static class Diagnosis
{
    private const int LinesInLog = 12;
    private const int LinesInFile = 2000;

    // A diagnosis must not eat the time that cleaning needs.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Collects the diagnosis; never throws for what the cluster does not give.</summary>
    /// <param name="cluster">Cluster to look at; nothing there is changed.</param>
    /// <param name="ns">Namespace to look at.</param>
    /// <param name="folder">Where the files go; made if missing.</param>
    /// <param name="log">Where the short block goes.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>The files written.</returns>
    public static async Task<IReadOnlyList<string>> CollectAsync(
        Cluster cluster, string ns, string folder, BuildLog log, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(log);
        using var end = new CancellationTokenSource(Limit, cluster.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end.Token, cancel);
        var files = new List<string>();
        var block = new List<string>();
        try
        {
            Directory.CreateDirectory(folder);
            await CollectAsync(cluster, ns, folder, log.Mask, files, block, either.Token).ConfigureAwait(false);
        }
        catch (Exception error)
            when (error is ClusterApiException or UnavailableException or IOException or UnauthorizedAccessException
                || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            block.Add(
                "the diagnosis is incomplete: " +
                $"{(error is OperationCanceledException
                    ? $"the cluster took longer than {Durations.Show(Limit)}"
                    : error.Message)}");
        }
        using (log.Block($"diagnosis of namespace {ns}"))
        {
            foreach (var line in block) log.Info(line);
            if (files.Count > 0) log.Info($"{Count.Of(files.Count, "file")} in {folder}");
        }
        if (files.Count > 0) log.Publish($"{folder}/** => diagnosis/{Path.GetFileName(folder)}.zip");
        return files;
    }

    private static async Task CollectAsync(
        Cluster cluster,
        string ns,
        string folder,
        SecretMask mask,
        List<string> files,
        List<string> block,
        CancellationToken cancel)
    {
        var pods = await ListAsync(Kinds.Pod).ConfigureAwait(false);
        var events = await ListAsync(Kinds.Event).ConfigureAwait(false);
        events.Sort((one, other) => string.CompareOrdinal(RolloutJudge.When(one), RolloutJudge.When(other)));
        Write("events.txt", EventLines(events));

        foreach (var pod in pods)
        {
            block.Add(PodLine(pod));
            foreach (var status in Items(pod.Member(
                "status", "initContainerStatuses")).Concat(Items(pod.Member("status", "containerStatuses"))))
            {
                var container = Text(status["name"]) ?? "";
                var restarted = Number(status["restartCount"]) > 0;
                var now = await cluster.TailAsync(
                    ns, pod.NameOf(), container, previous: false, LinesInFile, cancel).ConfigureAwait(false);
                var before = restarted
                    ? await cluster.TailAsync(
                        ns, pod.NameOf(), container, previous: true, LinesInFile, cancel).ConfigureAwait(false)
                    : [];
                if (now.Count > 0) Write($"{pod.NameOf()}.{container}.log", now);
                if (before.Count > 0) Write($"{pod.NameOf()}.{container}.previous.log", before);
                if (!IsWell(status))
                    foreach (var line in (before.Count > 0 ? before : now).TakeLast(LinesInLog))
                        block.Add($"  {container}| {line}");
            }
        }
        foreach (var item in events.Where(item => Text(item["type"]) == "Warning").TakeLast(LinesInLog))
            block.Add("  event " + EventLine(item));

        foreach (var kind in (Kind[])[
            Kinds.Deployment, Kinds.StatefulSet, Kinds.DaemonSet, Kinds.ReplicaSet, Kinds.Job, Kinds.Service,
            Kinds.EndpointSlice, Kinds.ConfigMap, Kinds.ResourceQuota, Kinds.PersistentVolumeClaim
        ])
        {
            var items = await ListAsync(kind).ConfigureAwait(false);
            if (items.Count > 0) Write(kind.Plural + ".json", Json(items));
            if (kind == Kinds.ResourceQuota)
                foreach (var quota in items)
                    block.Add(
                        $"quota {quota.NameOf()}: used {quota.Member("status", "used")?.ToJsonString()} of " +
                        $"{quota.Member("status", "hard")?.ToJsonString()}");
        }
        if (pods.Count > 0) Write("pods.json", Json(pods));
        var nodes = await ListAsync(Kinds.Node).ConfigureAwait(false);
        if (nodes.Count > 0) Write("nodes.json", Json(nodes));
        foreach (var node in nodes)
            foreach (var condition in Items(node.Member("status", "conditions")))
                if (Text(condition["type"]) == "Ready"
                    ? Text(condition["status"]) != "True"
                    : Text(condition["status"]) == "True")
                    block.Add(
                        $"node {node.NameOf()}: {Text(condition["type"])} is {Text(condition["status"])}: " +
                        $"{Text(condition["message"])}");

        async Task<List<JsonObject>> ListAsync(Kind kind)
        {
            try
            {
                return [.. (await cluster.ListAsync(
                    kind.Collection(kind.Namespaced ? ns : null), null, null, cancel).ConfigureAwait(false)).Items];
            }
            catch (Exception error) when (error is ClusterApiException or UnavailableException { Reason: "cluster-forbidden" })
            {
                return [];
            }
        }

        void Write(string name, IEnumerable<string> lines)
        {
            var path = Path.Combine(folder, name);
            WholeFile.Write(path, mask.Apply(string.Join('\n', lines) + "\n"));
            files.Add(path);
        }
    }

    private static IEnumerable<string> Json(List<JsonObject> items)
    {
        foreach (var item in items) yield return SecretFree.Copy(item).ToJsonString(ManifestSet.Indented);
    }

    private static IEnumerable<string> EventLines(List<JsonObject> events) => events.Select(EventLine);

    private static string EventLine(JsonObject item) =>
        $"{RolloutJudge.When(item)} {Text(item["type"])} {Text(item["reason"])} " +
        $"{Text(item.Member("involvedObject", "kind"))}/{Text(item.Member("involvedObject", "name"))}: " +
        $"{(Text(item["message"]) ?? "").Trim().ReplaceLineEndings(" ")}{(Number(item["count"], 1) is > 1 and var count
            ? string.Create(CultureInfo.InvariantCulture, $" (x{count})")
            : "")}";

    private static string PodLine(JsonObject pod)
    {
        var text = new StringBuilder(
            $"pod {pod.NameOf()}: {(pod.IsBeingDeleted() ? "Terminating" : Text(pod.Member("status", "phase")))}");
        foreach (var status in Items(pod.Member(
            "status", "initContainerStatuses")).Concat(Items(pod.Member("status", "containerStatuses"))))
        {
            text.Append(CultureInfo.InvariantCulture, $"; {Text(status["name"])} {State(status)}");
            if (Number(status["restartCount"]) is > 0 and var restarts)
                text.Append(CultureInfo.InvariantCulture, $", {restarts} restarts");
        }
        if (Conditions.Find(pod, "PodScheduled") is { Status: "False" } unscheduled)
            text.Append("; ").Append(unscheduled.Message);
        return text.ToString();
    }

    private static string State(JsonObject status)
    {
        if (status.Member("state", "waiting") is JsonObject waiting)
            return $"waiting ({Text(waiting["reason"])}{(Text(waiting["message"]) is { } message ? ": " + message : "")})";
        if (status.Member("state", "terminated") is JsonObject ended)
            return $"ended with {Number(ended["exitCode"])} ({Text(ended["reason"])})";
        return status.Flag("ready") == true ? "ready" : "running, not ready";
    }

    private static bool IsWell(JsonObject status) =>
        status.Flag("ready") == true && Number(status["restartCount"]) == 0
            || status.Member("state", "terminated") is JsonObject ended && Number(ended["exitCode"]) == 0;
}
