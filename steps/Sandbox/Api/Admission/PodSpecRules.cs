using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Defaults and checks of pod specifications, in pods and in templates.</summary>
internal static class PodSpecRules
{
    public static void Default(JsonObject spec, bool pod)
    {
        spec.Default("restartPolicy", "Always");
        spec.Default("dnsPolicy", "ClusterFirst");
        spec.Default("terminationGracePeriodSeconds", 30);
        // A negative period once meant none; it is read as the shortest.
        if (spec.Num("terminationGracePeriodSeconds") < 0)
            spec["terminationGracePeriodSeconds"] = 1;
        spec.Default("securityContext", new JsonObject());
        spec.Default("schedulerName", "default-scheduler");
        if (pod)
            spec.Default("enableServiceLinks", true);
        // The old name of the field is kept in step.
        if (spec.Str("serviceAccountName") is not { Length: > 0 } && spec.Str("serviceAccount") is { Length: > 0 } old)
            spec["serviceAccountName"] = old;
        if (spec.Str("serviceAccountName") is { Length: > 0 } account)
            spec["serviceAccount"] = account;
        foreach (var list in new[] { "containers", "initContainers", "ephemeralContainers" })
        {
            foreach (var container in spec.Objs(list))
                Container(container, spec.Flag("hostNetwork"), pod);
        }
        foreach (var volume in spec.Objs("volumes"))
            Volume(volume);
    }

    public static void Check(string path, JsonObject spec, FieldErrors errors)
    {
        if (!spec.Objs("containers").Any())
            errors.Required($"{path}.containers");
        if (spec.Str("restartPolicy") is not ("Always" or "OnFailure" or "Never"))
            errors.Unsupported($"{path}.restartPolicy", spec["restartPolicy"], "Always", "OnFailure", "Never");
        if (spec.Str("dnsPolicy") is not ("ClusterFirst" or "ClusterFirstWithHostNet" or "Default" or "None"))
            errors.Unsupported(
                $"{path}.dnsPolicy", spec["dnsPolicy"], "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None");
        if (spec.Num("activeDeadlineSeconds") is <= 0)
            errors.Invalid($"{path}.activeDeadlineSeconds", spec["activeDeadlineSeconds"], "must be greater than or equal to 1");
        Names.CheckLabels($"{path}.nodeSelector", spec.Obj("nodeSelector"), errors);
        var volumes = new HashSet<string>(StringComparer.Ordinal);
        var index = 0;
        foreach (var volume in spec.Objs("volumes"))
        {
            var name = volume.Str("name") ?? "";
            if (name.Length == 0)
                errors.Required($"{path}.volumes[{index}].name");
            else
                Names.CheckLabel($"{path}.volumes[{index}].name", name, errors);
            if (!volumes.Add(name))
                errors.Duplicate($"{path}.volumes[{index}].name", name);
            if (volume.Count > 2)
                errors.Forbidden(
                    $"{path}.volumes[{index}].{volume.Where(v => v.Key != "name").ElementAt(1).Key}",
                    "may not specify more than 1 volume type");
            index++;
        }
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var list in new[] { "containers", "initContainers" })
        {
            index = 0;
            foreach (var container in spec.Objs(list))
                ContainerRules.Check($"{path}.{list}[{index++}]", container, names, volumes, errors);
        }
    }

    private static void Container(JsonObject container, bool hostNetwork, bool pod)
    {
        container.Default("imagePullPolicy", PullsAlways(container.Str("image") ?? "") ? "Always" : "IfNotPresent");
        container.Default("terminationMessagePath", "/dev/termination-log");
        container.Default("terminationMessagePolicy", "File");
        var resources = container.Ensure("resources");
        foreach (var port in container.Objs("ports"))
        {
            port.Default("protocol", "TCP");
            if (hostNetwork)
                port.Default("hostPort", port["containerPort"]?.DeepClone());
        }
        foreach (var env in container.Objs("env"))
        {
            if (env.Obj("valueFrom", "fieldRef") is { } field)
                field.Default("apiVersion", "v1");
        }
        foreach (var name in new[] { "livenessProbe", "readinessProbe", "startupProbe" })
        {
            if (container.Obj(name) is not { } probe)
                continue;
            foreach (var (field, value) in new[]
            {
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3)
            })
            {
                if (probe.Num(field) is null or 0)
                    probe[field] = value;
            }
            Http(probe);
            if (probe.Obj("grpc") is { } grpc)
                grpc.Default("service", "");
        }
        foreach (var hook in new[] { "postStart", "preStop" })
        {
            if (container.Obj("lifecycle", hook) is { } handler)
                Http(handler);
        }
        if (pod && resources.Obj("limits") is { } limits)
        {
            var requests = resources.Ensure("requests");
            foreach (var (name, amount) in limits)
                requests.Default(name, amount?.DeepClone());
        }
    }

    private static void Http(JsonObject handler)
    {
        if (handler.Obj("httpGet") is not { } http)
            return;
        http.Default("path", "/");
        http.Default("scheme", "HTTP");
    }

    private static void Volume(JsonObject volume)
    {
        if (volume.Count <= 1)
            volume["emptyDir"] = new JsonObject();
        foreach (var kind in new[] { "configMap", "secret", "projected", "downwardAPI" })
        {
            if (volume.Obj(kind) is { } source)
                source.Default("defaultMode", 420);
        }
        foreach (var source in volume.Objs("projected", "sources"))
        {
            if (source.Obj("serviceAccountToken") is { } token)
                token.Default("expirationSeconds", 3600);
        }
        foreach (var item in volume
            .Objs("downwardAPI", "items")
            .Concat(volume.Objs("projected", "sources").SelectMany(s => s.Objs("downwardAPI", "items"))))
        {
            if (item.Obj("fieldRef") is { } field)
                field.Default("apiVersion", "v1");
        }
        if (volume.Obj("hostPath") is { } host)
            host.Default("type", "");
    }

    /// <summary>Without a tag, or with the tag latest, an image is pulled each time.</summary>
    private static bool PullsAlways(string image)
    {
        if (image.Contains('@'))
            return false;
        var name = image[(image.LastIndexOf('/') + 1)..];
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 || name[(colon + 1)..] == "latest";
    }
}
