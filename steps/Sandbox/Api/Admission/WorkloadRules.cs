using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Defaults and checks of what makes pods from a template.</summary>
internal static class WorkloadRules
{
    public static void Default(ResourceType type, JsonObject obj)
    {
        var spec = obj.Ensure("spec");
        if (spec.Obj("template") is { } template)
            Template(template);
        if (type == Kinds.Deployments)
        {
            spec.Default("replicas", 1);
            spec.Default("revisionHistoryLimit", 10);
            spec.Default("progressDeadlineSeconds", 600);
            var strategy = spec.Ensure("strategy");
            strategy.Default("type", "RollingUpdate");
            if (strategy.Str("type") == "RollingUpdate")
            {
                var rolling = strategy.Ensure("rollingUpdate");
                rolling.Default("maxUnavailable", "25%");
                rolling.Default("maxSurge", "25%");
            }
        }
        else if (type == Kinds.ReplicaSets)
            spec.Default("replicas", 1);
        else if (type == Kinds.StatefulSets)
        {
            spec.Default("replicas", 1);
            spec.Default("revisionHistoryLimit", 10);
            spec.Default("podManagementPolicy", "OrderedReady");
            spec.Default("serviceName", "");
            var strategy = spec.Ensure("updateStrategy");
            strategy.Default("type", "RollingUpdate");
            if (strategy.Str("type") == "RollingUpdate")
                strategy.Ensure("rollingUpdate").Default("partition", 0);
            var retention = spec.Ensure("persistentVolumeClaimRetentionPolicy");
            retention.Default("whenDeleted", "Retain");
            retention.Default("whenScaled", "Retain");
        }
        else if (type == Kinds.DaemonSets)
        {
            spec.Default("revisionHistoryLimit", 10);
            var strategy = spec.Ensure("updateStrategy");
            strategy.Default("type", "RollingUpdate");
            if (strategy.Str("type") == "RollingUpdate")
            {
                var rolling = strategy.Ensure("rollingUpdate");
                rolling.Default("maxUnavailable", 1);
                rolling.Default("maxSurge", 0);
            }
        }
        else if (type == Kinds.Jobs)
            Job(obj, spec);
    }

    public static void Check(ResourceType type, JsonObject? old, JsonObject obj, FieldErrors errors)
    {
        var spec = obj.Obj("spec");
        if (spec.Num("replicas") < 0)
            errors.Invalid("spec.replicas", spec!["replicas"], "must be greater than or equal to 0");
        if (spec.Obj("template") is not { } template)
        {
            errors.Required("spec.template");
            return;
        }
        CheckSelector(type, old, spec!, template, errors);
        Names.CheckLabels("spec.template.labels", template.Obj("metadata", "labels"), errors);
        PodSpecRules.Check("spec.template.spec", template.Obj("spec") ?? [], errors);
        if (template.Objs("spec", "ephemeralContainers").Any())
            errors.Forbidden("spec.template.spec.ephemeralContainers", "ephemeral containers not allowed in pod template");
        var restart = template.Str("spec", "restartPolicy");
        if (type == Kinds.Jobs)
        {
            if (restart is not ("OnFailure" or "Never"))
                errors.Required("spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
            foreach (var field in new[]
            {
                "parallelism",
                "completions",
                "backoffLimit",
                "activeDeadlineSeconds",
                "ttlSecondsAfterFinished"
            })
            {
                if (spec.Num(field) < 0)
                    errors.Invalid($"spec.{field}", spec![field], "must be greater than or equal to 0");
            }
            // Jobs that end in another way than they would elsewhere are worse than none.
            foreach (var field in new[] { "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes" })
            {
                if (spec![field] is not null)
                    errors.Forbidden($"spec.{field}", "the sandbox does not act on it");
            }
            if (old is not null)
            {
                errors.Immutable("spec.completions", old.At("spec", "completions"), spec!["completions"]);
                errors.Immutable("spec.template", old.At("spec", "template"), template);
            }
        }
        else if (restart != "Always")
            errors.Unsupported("spec.template.spec.restartPolicy", restart, "Always");
        if (type == Kinds.Deployments)
            CheckDeployment(spec!, errors);
        if (type == Kinds.DaemonSets)
            CheckDaemonSet(spec!, errors);
        if (type == Kinds.StatefulSets && old is not null)
            CheckStatefulSetUpdate(old, obj, errors);
    }

    private static void Template(JsonObject template) => PodSpecRules.Default(template.Ensure("spec"), false);

    private static void Job(JsonObject job, JsonObject spec)
    {
        if (spec["completions"] is null && spec["parallelism"] is null)
            spec["completions"] = 1;
        spec.Default("parallelism", 1);
        spec.Default("backoffLimit", 6);
        spec.Default("completionMode", "NonIndexed");
        spec.Default("suspend", false);
        spec.Default("manualSelector", false);
        if (spec["podFailurePolicy"] is null)
            spec.Default("podReplacementPolicy", "TerminatingOrFailed");
        if (spec.Flag("manualSelector")
            || job.Str("metadata", "uid") is not { } uid
            || spec.Obj("selector", "matchLabels") is not null)
            return;
        spec["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["batch.kubernetes.io/controller-uid"] = uid } };
        var labels = spec.Ensure("template", "metadata", "labels");
        foreach (var prefix in new[] { "batch.kubernetes.io/", "" })
        {
            labels[prefix + "controller-uid"] = uid;
            labels[prefix + "job-name"] = job.Str("metadata", "name");
        }
        if (job.Obj("metadata", "labels") is null)
            job.Ensure("metadata")["labels"] = labels.DeepClone();
    }

    private static void CheckSelector(
        ResourceType type, JsonObject? old, JsonObject spec, JsonObject template, FieldErrors errors)
    {
        if (spec.Obj("selector") is not { } selector)
        {
            errors.Required("spec.selector");
            errors.Invalid("spec.template.metadata.labels", template.At("metadata", "labels"),
                "`selector` does not match template `labels`");
            return;
        }
        if (selector.Obj("matchLabels") is null or { Count: 0 } && !selector.Objs("matchExpressions").Any())
            errors.Invalid("spec.selector", selector, "empty selector is invalid for " + type.Singular);
        else if (!LabelSelector.FromObject(selector).Matches(LabelSelector.LabelsOf(template)))
            errors.Invalid("spec.template.metadata.labels", template.At("metadata", "labels"),
                "`selector` does not match template `labels`");
        if (old is not null)
            errors.Immutable("spec.selector", old.At("spec", "selector"), selector);
    }

    private static void CheckDeployment(JsonObject spec, FieldErrors errors)
    {
        var strategy = spec.Obj("strategy");
        if (strategy.Str("type") is not ("Recreate" or "RollingUpdate"))
            errors.Unsupported("spec.strategy.type", strategy!["type"], "Recreate", "RollingUpdate");
        if (strategy.Str("type") == "Recreate" && strategy.Obj("rollingUpdate") is not null)
            errors.Forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        if (IsZero(strategy.At("rollingUpdate", "maxUnavailable")) && IsZero(strategy.At("rollingUpdate", "maxSurge")))
            errors.Invalid(
                "spec.strategy.rollingUpdate.maxUnavailable",
                strategy.At("rollingUpdate", "maxUnavailable"),
                "may not be 0 when `maxSurge` is 0");
        if (spec.Num("progressDeadlineSeconds") is { } deadline && deadline <= (spec.Num("minReadySeconds") ?? 0))
            errors.Invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }

    private static void CheckDaemonSet(JsonObject spec, FieldErrors errors)
    {
        if (spec.Obj("updateStrategy", "rollingUpdate") is not { } rolling)
            return;
        var (surge, unavailable) = (!IsZero(rolling["maxSurge"]), !IsZero(rolling["maxUnavailable"]));
        if (surge && unavailable)
            errors.Invalid("spec.updateStrategy.rollingUpdate.maxSurge", rolling["maxSurge"],
                "may not be set when maxUnavailable is non-zero");
        if (!surge && !unavailable)
            errors.Required("spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0");
    }

    private static bool IsZero(JsonNode? node) => node.Num() == 0 || node.Str() is "0%" or "0";

    private static void CheckStatefulSetUpdate(JsonObject old, JsonObject obj, FieldErrors errors)
    {
        var before = (JsonObject)old["spec"]!.DeepClone();
        var after = (JsonObject)obj["spec"]!.DeepClone();
        foreach (var field in new[] {
            "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds"
        })
        {
            before.Remove(field);
            after.Remove(field);
        }
        if (!JsonNode.DeepEquals(before, after))
        {
            errors.Forbidden("spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', " +
                "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
        }
    }
}
