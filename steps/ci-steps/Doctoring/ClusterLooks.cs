using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Doctoring;

/// <summary>Clusters: whether they answer, and whether this user may do there what the steps do.</summary>
internal sealed class ClusterLooks(StepContext context)
{
    public async Task<IReadOnlyList<Look>> TestbedsAsync(CancellationToken cancel)
    {
        var settings = context.Settings;
        if ((context.FindSecret(TestbedAccess.ContentVariable) ?? settings.Find(TestbedAccess.Management)) is { } management)
            return [await LookAsync("testbed pool", management, settings.Get(TestbedAccess.Namespace),
                [("create", "cisteps.dev", "testbedclaims"), ("delete", "cisteps.dev", "testbedclaims"), ("watch", "cisteps.dev", "testbedclaims"), ("get", "cisteps.dev", "testbeds"), ("get", "", "secrets")],
                "give this user the role testbed-claimant, which testbed-pool install makes", cancel).ConfigureAwait(false)];
        if (settings.Find(TestbedAccess.Kubeconfig) is { } one)
            return [await LookAsync("testbed", one, null,
                [("create", "", "namespaces"), ("delete", "", "namespaces"), ("create", "apps", "deployments"), ("create", "batch", "jobs"), ("get", "", "pods"), ("update", "coordination.k8s.io", "leases")],
                "integration tests need an administrator of that cluster", cancel).ConfigureAwait(false)];
        return [new("testbeds", null, "none given; ci-steps run brings up a sandbox by itself", "give CISTEPS_TESTBED_KUBECONFIG for a pool, or CISTEPS_KUBECONFIG for one cluster")];
    }

    public async Task<IReadOnlyList<Look>> ProductionAsync(PipelineDefinition? pipeline, CancellationToken cancel)
    {
        var looks = new List<Look>();
        foreach (var target in pipeline?.Production?.Waves.SelectMany(wave => wave.Targets) ?? [])
        {
            var subject = $"production \"{target.Name}\"";
            if (target.FindKubeconfig(context.Settings.Environment) is not { } kubeconfig) looks.Add(new(subject, null, $"{target.Kubeconfig} is not set here, as it should be on the branch side"));
            else looks.Add(await LookAsync(subject, kubeconfig, target.Namespace, [("patch", "apps", "deployments"), ("watch", "apps", "deployments"), ("get", "", "pods"), ("patch", "", "services")],
                $"give this user the rights to roll out in namespace {target.Namespace}", cancel).ConfigureAwait(false));
        }
        return looks;
    }

    private async Task<Look> LookAsync(string subject, string kubeconfig, string? ns, IReadOnlyList<(string Verb, string Group, string Resource)> needed, string advice, CancellationToken cancel)
    {
        try
        {
            using var cluster = await Cluster.ConnectAsync(kubeconfig, context.Log, context.Time, cancel).ConfigureAwait(false);
            var refused = new List<string>();
            foreach (var (verb, group, resource) in needed)
                if (!await cluster.MayAsync(verb, group, resource, ns, cancel).ConfigureAwait(false)) refused.Add($"{verb} {resource}");
            var where = ns is null ? "" : $" in namespace {ns}";
            return refused.Count == 0 ? new(subject, true, $"{cluster.Server} answers, the rights{where} are there") : new(subject, false, $"{cluster.Server}: may not {string.Join(", ", refused)}{where}", advice);
        }
        catch (Exception failure) when (Look.IsFinding(failure))
        {
            return Look.Failed(subject, failure, "check the kubeconfig, and whether the cluster can be reached from here");
        }
    }
}
