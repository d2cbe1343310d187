using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>What is special about pods themselves: account, token, quality of service, what an update may change.</summary>
internal sealed class PodRules(ClusterApi api)
{
    private static readonly string[] Guaranteed = ["cpu", "memory"];
    private const string TokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

    public void Admit(JsonObject pod)
    {
        var spec = pod.Ensure("spec");
        var ns = pod.Str("metadata", "namespace")!;
        if (spec.Str("serviceAccountName") is not { Length: > 0 } account)
        {
            account = "default";
            spec["serviceAccountName"] = account;
            spec["serviceAccount"] = account;
        }
        var found = api.Get(Kinds.ServiceAccounts, ns, account)
            ?? throw ApiException.Forbidden(Kinds.Pods, pod.Str("metadata", "name") ?? "",
                $"error looking up service account {ns}/{account}: serviceaccount \"{account}\" not found");
        if (spec["imagePullSecrets"] is not JsonArray { Count: > 0 }
            && found["imagePullSecrets"] is JsonArray { Count: > 0 } secrets)
            spec["imagePullSecrets"] = secrets.DeepClone();
        var automount = spec.At("automountServiceAccountToken") ?? found.At("automountServiceAccountToken");
        // Where no authority is known, no API is served, and a token would be a key without a door.
        if ((automount is null || automount.Flag()) && api.RootCertificatePem is not null)
            MountToken(spec);
        spec.Default("priority", PriorityOf(pod, spec));
        spec.Default("preemptionPolicy", "PreemptLowerPriority");
        Tolerate(spec);
        pod["status"] = new JsonObject { ["phase"] = "Pending", ["qosClass"] = QualityOfService(spec) };
    }

    public static void CheckUpdate(JsonObject old, JsonObject pod, FieldErrors errors)
    {
        foreach (var list in new[] { "containers", "initContainers" })
        {
            if (old.Objs("spec", list).Count() != pod.Objs("spec", list).Count())
            {
                errors.Forbidden($"spec.{list}", "pod updates may not add or remove containers");
                return;
            }
        }
        var before = (JsonObject)old["spec"]!.DeepClone();
        var after = (JsonObject)pod["spec"]!.DeepClone();
        foreach (var spec in new[] { before, after })
        {
            foreach (var container in spec.Objs("containers").Concat(spec.Objs("initContainers")))
                container.Remove("image");
            foreach (var field in new[]
            {
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "schedulingGates"
            })
                spec.Remove(field);
        }
        if (!JsonNode.DeepEquals(before, after))
        {
            errors.Forbidden("spec",
                "pod updates may not change fields other than " +
                "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` " +
                "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it " +
                "was previously negative)");
        }
    }

    private static void MountToken(JsonObject spec)
    {
        var containers = spec.Objs("containers").Concat(spec.Objs("initContainers")).ToList();
        if (containers.All(c => c.Objs("volumeMounts").Any(m => m.Str("mountPath") == TokenPath)))
            return;
        var name = spec.Objs("volumes")
            .Select(v => v.Str("name"))
            .FirstOrDefault(n => n?.StartsWith("kube-api-access-", StringComparison.Ordinal) == true);
        if (name is null)
        {
            name = "kube-api-access-" + RandomNumberGenerator.GetString("bcdfghjklmnpqrstvwxz2456789", 5);
            if (spec["volumes"] is not JsonArray volumes)
                spec["volumes"] = volumes = [];
            volumes.Add((JsonNode)new JsonObject
            {
                ["name"] = name,
                ["projected"] = new JsonObject
                {
                    ["defaultMode"] = 420,
                    ["sources"] = new JsonArray(
                        new JsonObject
                        {
                            ["serviceAccountToken"] = new JsonObject { ["expirationSeconds"] = 3607, ["path"] = "token" }
                        },
                        new JsonObject
                        {
                            ["configMap"] = new JsonObject
                            {
                                ["name"] = "kube-root-ca.crt",
                                ["items"] = new JsonArray(new JsonObject { ["key"] = "ca.crt", ["path"] = "ca.crt" })
                            }
                        },
                        new JsonObject
                        {
                            ["downwardAPI"] = new JsonObject
                            {
                                ["items"] = new JsonArray(new JsonObject
                                {
                                    ["path"] = "namespace",
                                    ["fieldRef"] = new JsonObject { ["apiVersion"] = "v1", ["fieldPath"] = "metadata.namespace" }
                                }),
                            },
                        }),
                },
            });
        }
        foreach (var container in containers.Where(c => !c.Objs("volumeMounts").Any(m => m.Str("mountPath") == TokenPath)))
        {
            if (container["volumeMounts"] is not JsonArray mounts)
                container["volumeMounts"] = mounts = [];
            mounts.Add((JsonNode)new JsonObject { ["name"] = name, ["readOnly"] = true, ["mountPath"] = TokenPath });
        }
    }

    private long PriorityOf(JsonObject pod, JsonObject spec)
    {
        if (spec.Str("priorityClassName") is not { Length: > 0 } name)
        {
            var byDefault = api.List(Kinds.PriorityClasses).Items.FirstOrDefault(c => c.Flag("globalDefault"));
            if (byDefault is null)
                return 0;
            spec["priorityClassName"] = byDefault.Str("metadata", "name");
            return byDefault.Num("value") ?? 0;
        }
        if (name == "system-cluster-critical")
            return 2000000000;
        if (name == "system-node-critical")
            return 2000001000;
        return api.Get(Kinds.PriorityClasses, null, name)?.Num("value")
            ?? throw ApiException.Forbidden(Kinds.Pods, pod.Str("metadata", "name") ?? "",
                $"no PriorityClass with name {name} was found");
    }

    /// <summary>A pod stays five minutes on a node that does not answer.</summary>
    private static void Tolerate(JsonObject spec)
    {
        foreach (var key in new[] { "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable" })
        {
            if (spec
                .Objs("tolerations")
                .Any(t => (t.Str("key") == key || t.Str("key") is null or "") && t.Str("effect") is "NoExecute" or null or ""))
                continue;
            if (spec["tolerations"] is not JsonArray tolerations)
                spec["tolerations"] = tolerations = [];
            tolerations.Add((JsonNode)new JsonObject
            {
                ["key"] = key,
                ["operator"] = "Exists",
                ["effect"] = "NoExecute",
                ["tolerationSeconds"] = 300
            });
        }
    }

    private static string QualityOfService(JsonObject spec)
    {
        var containers = spec.Objs("containers").Concat(spec.Objs("initContainers")).ToList();
        if (containers.All(
            c => c.Obj("resources", "requests") is null or { Count: 0 } && c.Obj("resources", "limits") is null or { Count: 0 }))
            return "BestEffort";
        return containers.All(c => Guaranteed.All(r =>
            Amount.Of(c.At("resources", "limits", r)) is { } limit && Amount.Of(c.At("resources", "requests", r)) == limit))
                ? "Guaranteed"
                : "Burstable";
    }
}
