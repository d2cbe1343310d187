using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// A pod's network identity: a container that only waits, whose network namespace all containers of the pod join, and the pod's
/// own name resolution files.
/// </summary>
internal sealed class PodNetwork(KubeletContext context, JsonObject pod, string folder)
{
    private string? id;

    /// <summary>The pod's address; null before it has one.</summary>
    public string? Address { get; private set; }

    /// <summary>The process that holds the pod's network; 0 when that is the host's own.</summary>
    public int ProcessId { get; private set; }

    /// <summary>What the pod's containers take as their network.</summary>
    public string Mode => IsHost ? "host" : "container:" + ContainerName;

    private bool IsHost => pod.Flag("spec", "hostNetwork");

    private string ContainerName => $"k8s_POD_{pod.Name()}_{pod.Namespace()}_{pod.Uid()}_0";

    private string Hostname
    {
        get
        {
            var name = pod.Str("spec", "hostname") ?? pod.Name();
            return name.Length > 63 ? name[..63].TrimEnd('-', '.') : name;
        }
    }

    public IReadOnlyList<Mount> Mounts =>
        [
            new(Path.Combine(folder, "resolv.conf"), "/etc/resolv.conf", ReadOnly: false),
            new(Path.Combine(folder, "hosts"), "/etc/hosts", ReadOnly: false)
        ];

    /// <summary>Makes the identity unless it is there. Throws <see cref="RuntimeRefusalException"/>.</summary>
    public async Task EnsureAsync(CancellationToken ct)
    {
        if (Address is not null)
            return;
        if (IsHost)
            Address = context.Network.Gateway;
        else
        {
            id = await PauseImage.CreateAsync(context.Runtime, new(ContainerName, PauseImage.Reference)
            {
                Hostname = Hostname,
                Network = context.Network.Name,
                Labels = new Dictionary<string, string>(context.Labels)
                {
                    [KubeletContext.PodLabel] = pod.Uid(),
                    ["io.kubernetes.pod.name"] = pod.Name(),
                    ["io.kubernetes.pod.namespace"] = pod.Namespace()
                },
            }, ct).ConfigureAwait(false);
            await context.Runtime.StartAsync(id, ct).ConfigureAwait(false);
            var facts = await context.Runtime.InspectAsync(id, ct).ConfigureAwait(false)
                ?? throw new RuntimeRefusalException("the pod's network container vanished");
            ProcessId = facts.Pid;
            Address = facts.Addresses.Values.FirstOrDefault(a => a.Length > 0)
                ?? throw new RuntimeRefusalException($"the pod's network container got no address on \"{context.Network.Name}\"");
        }

        WriteFiles(Address);
    }

    public async Task RemoveAsync(CancellationToken ct)
    {
        if (id is not null)
            await context.Runtime.RemoveAsync(id, ct).ConfigureAwait(false);
        id = null;
    }

    private void WriteFiles(string address)
    {
        Directory.CreateDirectory(folder);
        var ns = pod.Namespace();
        var hosts = new StringBuilder(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        var full = pod.Str("spec", "subdomain") is { Length: > 0 } sub
            ? $"{Hostname}.{sub}.{ns}.svc.cluster.local\t{Hostname}"
            : Hostname;
        hosts.Append(address).Append('\t').Append(full).Append('\n');
        foreach (var alias in pod.Objs("spec", "hostAliases"))
            hosts.Append(alias.Str("ip")).Append('\t').AppendJoin('\t', alias.Strs("hostnames")).Append('\n');
        Write("hosts", hosts.ToString());

        var policy = pod.Str("spec", "dnsPolicy") ?? "ClusterFirst";
        var config = pod.Obj("spec", "dnsConfig");
        var servers = new List<string>();
        var searches = new List<string>();
        var options = new List<string>();
        if (policy == "Default" || (IsHost && policy == "ClusterFirst"))
        {
            foreach (var line in File.Exists("/etc/resolv.conf") ? File.ReadAllLines("/etc/resolv.conf") : [])
            {
                if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is ["nameserver", var server, ..])
                    servers.Add(server);
            }
        }
        else if (policy != "None")
        {
            servers.Add(context.Network.DnsAddress);
            searches.AddRange([$"{ns}.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
            options.Add("ndots:5");
        }

        servers.AddRange(config.Strs("nameservers"));
        searches.AddRange(config.Strs("searches"));
        options.AddRange(config
            .Objs("options")
            .Select(o => o.Str("value") is { } value ? $"{o.Str("name")}:{value}" : o.Str("name") ?? ""));
        var resolver = new StringBuilder();
        foreach (var server in servers)
            resolver.Append("nameserver ").Append(server).Append('\n');
        if (searches.Count > 0)
            resolver.Append("search ").AppendJoin(' ', searches).Append('\n');
        if (options.Count > 0)
            resolver.Append("options ").AppendJoin(' ', options).Append('\n');
        Write("resolv.conf", resolver.ToString());

        void Write(string name, string text)
        {
            var path = Path.Combine(folder, name);
            File.WriteAllText(path, text);
            HostFiles.SetMode(path, 0x1a4);
        }
    }
}
