using Docker.DotNet.Models;

namespace CiSteps.Images;

public sealed partial class ContainerEngine
{
    /// <summary>Makes a bridge network.</summary>
    /// <returns>Its id.</returns>
    /// <exception cref="EngineRefusalException">The addresses are taken (<see cref="EngineRefusalException.IsAddressOverlap"/>),
    /// or the name is (<see cref="EngineRefusalException.IsConflict"/>).</exception>
    public async Task<string> CreateNetworkAsync(NetworkSpec spec, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var parameters = new NetworksCreateParameters
        {
            Name = spec.Name,
            Driver = "bridge",
            Internal = spec.Internal,
            Labels = spec.Labels.ToDictionary(),
            Options = spec.Options.ToDictionary(),
        };
        if (spec.Subnet is not null)
        {
            parameters.IPAM = new IPAM
            {
                Driver = "default",
                Config = [new IPAMConfig { Subnet = spec.Subnet, IPRange = spec.IpRange!, Gateway = spec.Gateway! }],
            };
        }
        // The engine keeps no two networks of one name apart by itself.
        if ((await ListNetworksAsync(
            new Dictionary<string, string?>(), cancel).ConfigureAwait(false)).Any(network => network.Name == spec.Name))
            throw new EngineRefusalException(409, $"network with name {spec.Name} already exists");
        return (await CallAsync(() => client.Networks.CreateNetworkAsync(parameters, cancel), cancel).ConfigureAwait(false)).ID;
    }

    /// <summary>Removes a network; one that is gone is left alone.</summary>
    public Task RemoveNetworkAsync(string id, CancellationToken cancel = default) =>
        IgnoreAbsentAsync(() => client.Networks.DeleteNetworkAsync(id, cancel), cancel);

    /// <summary>The networks with all of these labels (value null: any value).</summary>
    public async Task<IReadOnlyList<EngineNetwork>> ListNetworksAsync(
        IReadOnlyDictionary<string, string?> labels, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var found = await ReadAsync(
            () => client.Networks.ListNetworksAsync(new NetworksListParameters { Filters = LabelFilter(labels) }, cancel),
            cancel).ConfigureAwait(false);
        return [.. found.Select(network => new EngineNetwork(network.ID, network.Name, Copy(network.Labels),
            [.. (network.IPAM?.Config ?? []).Select(range => range.Subnet).Where(subnet => !string.IsNullOrEmpty(subnet))]))];
    }
}
