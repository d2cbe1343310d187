using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>Registers the nodes and keeps their leases fresh.</summary>
internal sealed class Nodes(IReadOnlyList<SandboxNode> nodes, ClusterNetwork network, string engineVersion, TimeProvider time)
    : IClusterComponent
{
    private const string LeaseNamespace = "kube-node-lease";
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(10);

    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        foreach (var node in nodes)
            Register(api, node);
        using var timer = new PeriodicTimer(Heartbeat, time);
        try
        {
            do
            {
                foreach (var node in nodes)
                    Renew(api, node.Name);
            }
            while (await timer.WaitForNextTickAsync(cancel).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The cluster stops.
        }
    }

    private void Register(ClusterApi api, SandboxNode node)
    {
        var architecture = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "arm64" : "amd64";
        if (api.Get(Kinds.Nodes, null, node.Name) is not { } made)
        {
            made = api.Create(Kinds.Nodes, null, new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "Node",
                ["metadata"] = new JsonObject
                {
                    ["name"] = node.Name,
                    ["labels"] = new JsonObject
                    {
                        ["kubernetes.io/hostname"] = node.Name,
                        ["kubernetes.io/os"] = "linux",
                        ["kubernetes.io/arch"] = architecture,
                        ["beta.kubernetes.io/os"] = "linux",
                        ["beta.kubernetes.io/arch"] = architecture,
                    },
                },
                ["spec"] = new JsonObject { ["podCIDR"] = network.PodRange },
            });
        }

        made["status"] = Status(node, architecture);
        api.UpdateStatus(Kinds.Nodes, made);
    }

    private JsonObject Status(SandboxNode node, string architecture)
    {
        var now = time.GetUtcNow();
        var capacity = new JsonObject
        {
            ["cpu"] = node.Cpus.ToString(CultureInfo.InvariantCulture),
            ["memory"] = $"{node.MemoryBytes / 1024}Ki",
            ["pods"] = "110",
            ["ephemeral-storage"] = "100Gi",
        };
        var status = new JsonObject
        {
            ["capacity"] = capacity,
            ["allocatable"] = capacity.Copy(),
            ["addresses"] = Fields.ListOf([
                new JsonObject { ["type"] = "InternalIP", ["address"] = network.Gateway },
                new JsonObject { ["type"] = "Hostname", ["address"] = node.Name },
            ]),
            ["nodeInfo"] = new JsonObject
            {
                ["architecture"] = architecture,
                ["operatingSystem"] = "linux",
                ["osImage"] = RuntimeInformation.OSDescription,
                ["kernelVersion"] = Environment.OSVersion.Version.ToString(),
                ["containerRuntimeVersion"] = "docker://" + engineVersion,
                ["kubeletVersion"] = Api.Http.Router.GitVersion,
                ["kubeProxyVersion"] = Api.Http.Router.GitVersion,
                ["machineID"] = node.Name,
                ["systemUUID"] = node.Name,
                ["bootID"] = node.Name,
            },
        };
        foreach (var (type, value, reason, message) in (ReadOnlySpan<(string, bool, string, string)>)
        [
            ("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", true, "KubeletReady", "kubelet is posting ready status"),
        ])
        {
            status.SetCondition(type, value, reason, message, now, "lastHeartbeatTime");
        }

        return status;
    }

    private void Renew(ClusterApi api, string node)
    {
        try
        {
            var lease = api.Get(Kinds.Leases, LeaseNamespace, node);
            if (lease is null)
            {
                api.Create(Kinds.Leases, LeaseNamespace, new JsonObject
                {
                    ["apiVersion"] = Kinds.Leases.ApiVersion,
                    ["kind"] = Kinds.Leases.Kind,
                    ["metadata"] = new JsonObject { ["name"] = node, ["namespace"] = LeaseNamespace },
                    ["spec"] = new JsonObject
                    {
                        ["holderIdentity"] = node,
                        ["leaseDurationSeconds"] = 40,
                        ["renewTime"] = Fields.MicroStamp(time.GetUtcNow())
                    },
                });
                return;
            }

            lease.Ensure("spec")["renewTime"] = Fields.MicroStamp(time.GetUtcNow());
            api.Update(Kinds.Leases, lease);
        }
        catch (ApiException)
        {
            // The next beat comes soon.
        }
    }
}
