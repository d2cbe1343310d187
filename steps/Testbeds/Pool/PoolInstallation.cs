using System.Reflection;
using System.Text.Json.Nodes;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Pool;

/// <summary>Puts into the management cluster what a pool needs.</summary>
public static class PoolInstallation
{
    /// <summary>The manifests of a pool: custom resource definitions, namespaces, accounts and their rights.</summary>
    public static string Manifests(PoolOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return Read("testbeds.cisteps.dev.yaml") + "---\n" +
            Read("access.yaml").Replace("PRIVATE", options.PrivateNamespace, StringComparison.Ordinal).Replace("NAMESPACE", options.Namespace, StringComparison.Ordinal);
    }

    /// <summary>Applies <see cref="Manifests"/>; a second time changes nothing.</summary>
    /// <exception cref="UnavailableException">The management cluster does not take them.</exception>
    public static async Task ApplyAsync(Cluster management, PoolOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        var manifests = ManifestSet.Parse(Manifests(options), "the pool's manifests");
        if (await management.ApplyAsync(manifests, dryRun: false, cancel).ConfigureAwait(false) is { } failure)
            throw new UnavailableException("pool-not-installed", $"the management cluster {management.Server} does not take the pool's objects: {failure.Text}; an administrator's kubeconfig is needed once (testbed-pool install)");
    }

    /// <summary>Makes or changes a class of clusters that one already has.</summary>
    /// <param name="management">The management cluster, with a pool installed.</param>
    /// <param name="options">How the pool is run.</param>
    /// <param name="name">The class's name.</param>
    /// <param name="members">Administrators' kubeconfigs (their text) by testbed name.</param>
    /// <param name="lease">The most that a claim may ask for; null for <see cref="LeaseTimes.Standard"/>.</param>
    /// <param name="cancel">Stops it.</param>
    public static async Task PutStaticClassAsync(Cluster management, PoolOptions options, string name, IReadOnlyDictionary<string, string> members,
        LeaseTimes? lease = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(management);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(members);
        var entries = new JsonArray();
        foreach (var (member, kubeconfig) in members)
        {
            await management.PutAsync(Kinds.Secret, options.PrivateNamespace,
                PoolWrites.KubeconfigSecret(member, options.PrivateNamespace, kubeconfig), cancel).ConfigureAwait(false);
            entries.Add((JsonNode)new JsonObject { ["name"] = member, ["secret"] = member });
        }
        var times = lease ?? LeaseTimes.Standard;
        await management.PutAsync(PoolKinds.Class, options.Namespace, new JsonObject
        {
            ["apiVersion"] = PoolKinds.ApiVersion,
            ["kind"] = PoolKinds.Class.Name,
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = options.Namespace },
            ["spec"] = new JsonObject
            {
                ["provider"] = "static",
                ["scope"] = "Cluster",
                ["warm"] = members.Count,
                ["lease"] = new JsonObject
                {
                    ["handOverGraceSeconds"] = (long)times.HandOverGrace.TotalSeconds,
                    ["heartbeatSeconds"] = (long)times.Heartbeat.TotalSeconds,
                    ["timeToLiveSeconds"] = (long)times.TimeToLive.TotalSeconds,
                },
                ["static"] = new JsonObject { ["members"] = entries },
            },
        }, cancel).ConfigureAwait(false);
    }

    private static string Read(string name)
    {
        using var stream = typeof(PoolInstallation).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"the resource {name} is not in {Assembly.GetExecutingAssembly().GetName().Name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
