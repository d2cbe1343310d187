using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Turns a pod's container into what the engine is asked for.</summary>
internal sealed class ContainerPlanner(
    KubeletContext context,
    JsonObject pod,
    PodNetwork network,
    PodVolumes volumes,
    string folder)
{
    /// <summary>The plan for the next run. Throws <see cref="ContainerConfigException"/>.</summary>
    public ContainerPlan Plan(ContainerRun run, ImageFacts image)
    {
        var container = run.Spec;
        var environment = new ContainerEnvironment(context.Api, pod, network.Address, context.Network.Gateway).Build(container);
        var values = environment.ToDictionary(e => e.Key, e => e.Value);
        var security = container.Obj("securityContext");
        var podSecurity = pod.Obj("spec", "securityContext");
        var attempt = run.HasRun ? run.Restarts + 1 : 0;
        var mounts = new List<Mount>(volumes.MountsOf(container, values));
        foreach (var own in network.Mounts)
        {
            if (!mounts.Exists(m => m.ContainerPath == own.ContainerPath))
                mounts.Add(own);
        }

        mounts.Add(new(
            TerminationFile(run, attempt), container.Str("terminationMessagePath") ?? "/dev/termination-log", ReadOnly: false));
        return new($"k8s_{run.Name}_{pod.Name()}_{pod.Namespace()}_{pod.Uid()}_{attempt}", image.Id)
        {
            Entrypoint = Expanded(container, "command", values),
            // With a command and no arguments the image's own arguments do not apply.
            Arguments = Expanded(container, "args", values) ?? (container["command"] is JsonArray { Count: > 0 } ? [] : null),
            Environment = environment,
            Labels = new Dictionary<string, string>(context.Labels)
            {
                [KubeletContext.PodLabel] = pod.Uid(),
                [KubeletContext.ContainerLabel] = run.Name,
                ["io.kubernetes.pod.name"] = pod.Name(),
                ["io.kubernetes.pod.namespace"] = pod.Namespace(),
            },
            WorkingDirectory = container.Str("workingDir") is { Length: > 0 } directory ? directory : null,
            User = User(security, podSecurity, image),
            SupplementalGroups = [.. Groups(podSecurity)],
            Network = network.Mode,
            Mounts = mounts,
            MemoryBytes = (long)Amount(container, "limits", "memory"),
            MilliCpus = (long)(Amount(container, "limits", "cpu") * 1000),
            ReadOnlyRoot = security.Flag("readOnlyRootFilesystem"),
            Privileged = security.Flag("privileged"),
            AddCapabilities = [.. security.Strs("capabilities", "add")],
            DropCapabilities = [.. security.Strs("capabilities", "drop")],
            NoNewPrivileges = security.At("allowPrivilegeEscalation") is { } escalation
                && escalation.GetValueKind() == System.Text.Json.JsonValueKind.False,
            Stdin = container.Flag("stdin"),
            StdinOnce = container.Flag("stdinOnce"),
            Tty = container.Flag("tty"),
        };
    }

    /// <summary>What the container wrote as its last words, bounded as in Kubernetes; null for nothing.</summary>
    public string? TerminationMessage(ContainerRun run)
    {
        var path = Path.Combine(folder, "containers", run.Name, $"{run.Restarts}.termination");
        if (!File.Exists(path) || new FileInfo(path).Length == 0)
            return null;
        var text = File.ReadAllText(path);
        return text.Length > 4096 ? text[..4096] : text;
    }

    private string TerminationFile(ContainerRun run, int attempt)
    {
        var parent = Path.Combine(folder, "containers", run.Name);
        Directory.CreateDirectory(parent);
        var path = Path.Combine(parent, $"{attempt}.termination");
        File.WriteAllText(path, "");
        HostFiles.SetMode(path, 0x1b6);
        return path;
    }

    private static List<string>? Expanded(JsonObject container, string field, Dictionary<string, string> values) =>
        container[field] is JsonArray { Count: > 0 }
            ? [.. container.Strs(field).Select(s => ContainerEnvironment.Expand(s, values))]
            : null;

    private static string? User(JsonObject? security, JsonObject? podSecurity, ImageFacts image)
    {
        var user = security.Num("runAsUser") ?? podSecurity.Num("runAsUser");
        var group = security.Num("runAsGroup") ?? podSecurity.Num("runAsGroup");
        var nonRoot = security.At("runAsNonRoot") is not null ? security.Flag("runAsNonRoot") : podSecurity.Flag("runAsNonRoot");
        if (nonRoot && user == 0)
            throw new ContainerConfigException("container's runAsUser breaks non-root policy");
        if (nonRoot && user is null)
        {
            var named = image.User.Split(':')[0];
            if (named is "" or "0" or "root")
                throw new ContainerConfigException("container has runAsNonRoot and image will run as root");
            if (!named.All(char.IsAsciiDigit))
                throw new ContainerConfigException(
                    $"container has runAsNonRoot and image has non-numeric user ({named}), cannot verify user is non-root");
        }

        if (user is null && group is null)
            return null;
        var start = user?.ToString(System.Globalization.CultureInfo.InvariantCulture)
            ?? (image.User.Length > 0 ? image.User.Split(':')[0] : "0");
        return group is null ? start : $"{start}:{group}";
    }

    private static IEnumerable<string> Groups(JsonObject? podSecurity)
    {
        if (podSecurity.Num("fsGroup") is { } group)
            yield return group.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (podSecurity.At("supplementalGroups") is JsonArray list)
        {
            foreach (var item in list)
            {
                if (item.Num() is { } number)
                    yield return number.ToString(System.Globalization.CultureInfo.InvariantCulture);
            }
        }
    }

    private static decimal Amount(JsonNode container, string side, string resource)
    {
        var node = container.At("resources", side, resource);
        return Quantity.Parse(node.Str() ?? node?.ToJsonString());
    }
}
