using Docker.DotNet.Models;

namespace CiSteps.Images;

public sealed partial class ContainerEngine
{
    private static CreateContainerParameters ToParameters(ContainerSpec spec)
    {
        var host = new HostConfig
        {
            NetworkMode = spec.NetworkMode!,
            DNS = [.. spec.Dns],
            DNSSearch = [.. spec.DnsSearch],
            DNSOptions = [.. spec.DnsOptions],
            ExtraHosts = [.. spec.ExtraHosts],
            Binds = [.. spec.Binds],
            Tmpfs = spec.Tmpfs.ToDictionary(),
            Memory = spec.MemoryBytes ?? 0,
            MemorySwap = spec.MemoryBytes ?? 0,
            NanoCPUs = spec.NanoCpus ?? 0,
            CPUShares = spec.CpuShares ?? 0,
            PidsLimit = spec.PidsLimit,
            ShmSize = spec.ShmBytes ?? 0,
            OomScoreAdj = spec.OomScoreAdjustment ?? 0,
            ReadonlyRootfs = spec.ReadOnly,
            Privileged = spec.Privileged,
            CapAdd = [.. spec.AddCapabilities],
            CapDrop = [.. spec.DropCapabilities],
            SecurityOpt = [.. spec.SecurityOptions],
            Sysctls = spec.Sysctls.ToDictionary(),
            GroupAdd = [.. spec.Groups],
            PidMode = spec.PidMode!,
            IpcMode = spec.IpcMode!,
            UsernsMode = spec.UserNamespace!,
            Init = spec.Init ? true : null,
            AutoRemove = spec.AutoRemove,
        };
        var parameters = new CreateContainerParameters
        {
            Name = spec.Name!,
            Image = spec.Image,
            Platform = spec.Platform!,
            Entrypoint = spec.Entrypoint?.ToArray()!,
            Cmd = spec.Command?.ToArray()!,
            Env = [.. spec.Environment],
            WorkingDir = spec.WorkingDirectory!,
            User = spec.User!,
            Hostname = spec.Hostname!,
            Labels = spec.Labels.ToDictionary(),
            StopSignal = spec.StopSignal!,
            Tty = spec.Tty,
            OpenStdin = spec.OpenStdin,
            StdinOnce = spec.StdinOnce,
            AttachStdout = true,
            AttachStderr = true,
            HostConfig = host,
        };
        if (spec.NetworkMode is { } network && (spec.Ipv4Address is not null || spec.NetworkAliases.Count > 0))
        {
            parameters.NetworkingConfig = new NetworkingConfig
            {
                EndpointsConfig = new Dictionary<string, EndpointSettings>
                {
                    [network] = new()
                    {
                        Aliases = [.. spec.NetworkAliases],
                        IPAMConfig = spec.Ipv4Address is null ? null : new EndpointIPAMConfig { IPv4Address = spec.Ipv4Address },
                    },
                },
            };
        }
        return parameters;
    }
}
