using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>The pods that a job makes, and their numbers in an indexed one.</summary>
internal static class JobPods
{
    private const string IndexAnnotation = "batch.kubernetes.io/job-completion-index";

    /// <summary>A new pod of a job, by its template.</summary>
    /// <param name="job">The job.</param>
    /// <param name="index">Its completion index; null where the job is not indexed.</param>
    public static JsonObject Make(JsonObject job, int? index)
    {
        var pod = PodTemplates.Instantiate(job.Obj("spec", "template"), job, Kinds.Jobs);
        if (index is not { } number)
            return pod;
        var text = number.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var metadata = pod.Obj("metadata")!;
        metadata["generateName"] = $"{job.Name()}-{text}-";
        metadata.Ensure("annotations")[IndexAnnotation] = text;
        metadata.Ensure("labels")[IndexAnnotation] = text;
        var spec = pod.Obj("spec")!;
        spec["hostname"] = $"{job.Name()}-{text}";
        foreach (var container in spec.Objs("initContainers").Concat(spec.Objs("containers")))
        {
            if (container["env"] is not JsonArray env)
                container["env"] = env = [];
            env.Add((JsonNode?)new JsonObject { ["name"] = "JOB_COMPLETION_INDEX", ["value"] = text });
        }

        return pod;
    }

    /// <summary>Whether each of a job's completions has a number of its own.</summary>
    public static bool IsIndexed(JsonNode job) => job.Str("spec", "completionMode") == "Indexed";

    /// <summary>A pod's completion index; null where it has none.</summary>
    public static int? IndexOf(JsonNode pod) => int.TryParse(pod.Annotation(IndexAnnotation), out var index) ? index : null;

    /// <summary>The lowest index that is neither done nor being worked on.</summary>
    public static int FreeIndex(JobTally tally, List<JsonObject> active)
    {
        var done = tally.Indexes;
        var taken = active.Select(IndexOf).ToHashSet();
        var index = 0;
        while (done.Contains(index) || taken.Contains(index))
            index++;
        return index;
    }
}
