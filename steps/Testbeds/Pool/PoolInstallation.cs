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
            Read("access.yaml")
                .Replace("PRIVATE", options.PrivateNamespace, StringComparison.Ordinal)
                .Replace("NAMESPACE", options.Namespace, StringComparison.Ordinal);
    }

    /// <summary>Applies <see cref="Manifests"/>; a second time changes nothing.</summary>
    /// <exception cref="UnavailableException">The management cluster does not take them.</exception>
    public static async Task ApplyAsync(Cluster management, PoolOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        var manifests = ManifestFiles.Parse(Manifests(options), "the pool's manifests");
        if (await management.ApplyAsync(manifests, dryRun: false, cancel).ConfigureAwait(false) is { } failure)
            throw new UnavailableException("pool-not-installed",
                $"the management cluster {management.Server} does not take the pool's objects: {failure.Text}; " +
                "an administrator's kubeconfig is needed once (testbed-pool install)");
    }

    /// <summary>Makes or changes a class of clusters that one already has.</summary>
    /// <param name="management">The management cluster, with a pool installed.</param>
    /// <param name="options">How the pool is run.</param>
    /// <param name="name">The class's name.</param>
    /// <param name="members">Administrators' kubeconfigs (their text) by testbed name.</param>
    /// <param name="lease">The most that a claim may ask for; null for <see cref="LeaseTimes.Standard"/>.</param>
    /// <param name="cancel">Stops it.</param>
    public static async Task PutStaticClassAsync(
        Cluster management,
        PoolOptions options,
        string name,
        IReadOnlyDictionary<string, string> members,
        LeaseTimes? lease = null,
        CancellationToken cancel = default)
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
                    ["leaseDurationSeconds"] = (long)times.LeaseDuration.TotalSeconds,
                    ["timeToLiveSeconds"] = (long)times.TimeToLive.TotalSeconds,
                },
                ["static"] = new JsonObject { ["members"] = entries },
            },
        }, cancel).ConfigureAwait(false);
    }

    /// <summary>
    /// Adds one cluster to a static class, or gives the member of that name another kubeconfig. The class is made when there is
    /// none.
    /// </summary>
    /// <exception cref="UsageException">The class is of another provider.</exception>
    public static async Task AddMemberAsync(
        Cluster management, PoolOptions options, string its, string member, string kubeconfig, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        ArgumentNullException.ThrowIfNull(options);
        await management.PutAsync(Kinds.Secret, options.PrivateNamespace,
            PoolWrites.KubeconfigSecret(member, options.PrivateNamespace, kubeconfig), cancel).ConfigureAwait(false);
        while (true)
        {
            var found = await management.FindAsync(PoolKinds.Class.Path(options.Namespace, its), cancel).ConfigureAwait(false);
            if (found is null)
            {
                await PutStaticClassAsync(
                    management,
                    options,
                    its,
                    new Dictionary<string, string> { [member] = kubeconfig },
                    null,
                    cancel).ConfigureAwait(false);
                return;
            }
            if (new TestbedClass(found).Provider != "static")
                throw new UsageException(
                    $"class \"{its}\" makes its testbeds itself (provider \"{new TestbedClass(found).Provider}\"); " +
                    "clusters can be added to static classes only");
            var members = found.Ensure("spec").Ensure("static")["members"] as JsonArray;
            if (members is null) found.Ensure("spec").Ensure("static")["members"] = members = [];
            if (members.Any(entry => (entry as JsonObject)?.Text("name") == member)) return;
            members.Add((JsonNode)new JsonObject { ["name"] = member, ["secret"] = member });
            if (await management.TryReplaceAsync(
                PoolKinds.Class, options.Namespace, found, cancel).ConfigureAwait(false) is not null)
                return;
        }
    }

    /// <summary>Asks the pool to try a quarantined testbed again.</summary>
    /// <exception cref="UsageException">There is no such testbed.</exception>
    public static async Task RetryAsync(Cluster management, string ns, string testbed, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(management);
        try
        {
            await management.MergeAsync(PoolKinds.Testbed.Path(ns, testbed), new JsonObject
            {
                ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [PoolKinds.RetryAnnotation] = "now" } },
            }, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException none) when (none.Code == 404)
        {
            throw new UsageException($"there is no testbed \"{testbed}\" in namespace \"{ns}\"; see testbed-pool status", none);
        }
    }

    internal static UnavailableException NotInstalled(Cluster management, Exception cause) =>
        new(
            "pool-not-installed",
            $"the management cluster {management.Server} has no testbed pool; run testbed-pool install once",
            cause);

    private static string Read(string name)
    {
        using var stream = typeof(PoolInstallation).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException(
                $"the resource {name} is not in {Assembly.GetExecutingAssembly().GetName().Name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
