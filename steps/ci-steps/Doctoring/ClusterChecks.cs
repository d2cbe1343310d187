using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Doctoring;

/// <summary>Clusters: whether they answer, and whether this user may do there what the steps do.</summary>
internal sealed class ClusterChecks(StepContext context)
{
    public async Task<IReadOnlyList<DoctorCheck>> TestbedsAsync(CancellationToken cancel)
    {
        var settings = context.Options;
        if ((context.FindSecret(TestbedAccess.PoolKubeconfigVariable)
            ?? settings.Find(TestbedAccess.PoolKubeconfig)) is { } management)
            return [await LookAsync("testbed pool", management, settings.Get(TestbedAccess.PoolNamespace),
                [
                    ("create", "cisteps.dev", "testbedclaims"),
                    ("delete", "cisteps.dev", "testbedclaims"),
                    ("watch", "cisteps.dev", "testbedclaims"),
                    ("get", "cisteps.dev", "testbeds"),
                    ("get", "", "secrets")
                ],
                "give this user the role testbed-claimant, which testbed-pool install makes", cancel)];
        if (settings.Find(TestbedAccess.Kubeconfig) is { } one)
            return [await LookAsync("testbed", one, null,
                [
                    ("create", "", "namespaces"),
                    ("delete", "", "namespaces"),
                    ("create", "apps", "deployments"),
                    ("create", "batch", "jobs"),
                    ("get", "", "pods"),
                    ("update", "coordination.k8s.io", "leases")
                ],
                "integration tests need an administrator of that cluster", cancel)];
        return [new("testbeds", null, "none given; ci-steps run brings up a sandbox by itself",
            "give CISTEPS_POOL_KUBECONFIG for a pool, or CISTEPS_KUBECONFIG for one cluster")];
    }

    public async Task<IReadOnlyList<DoctorCheck>> ProductionAsync(PipelineDefinition? pipeline, CancellationToken cancel)
    {
        var looks = new List<DoctorCheck>();
        foreach (var target in pipeline?.Production?.Waves.SelectMany(wave => wave.Targets) ?? [])
        {
            var subject = $"production \"{target.Name}\"";
            if (target.FindKubeconfig(context.Options.Environment) is not { } kubeconfig)
                looks.Add(new(subject, null, $"{target.Kubeconfig} is not set here, as it should be on the branch side"));
            else
                looks.Add(await LookAsync(
                    subject,
                    kubeconfig,
                    target.Namespace,
                    [
                        ("patch", "apps", "deployments"),
                        ("watch", "apps", "deployments"),
                        ("get", "", "pods"),
                        ("patch", "", "services")
                    ],
                    $"give this user the rights to roll out in namespace {target.Namespace}",
                    cancel));
        }
        return looks;
    }

    private async Task<DoctorCheck> LookAsync(
        string subject,
        string kubeconfig,
        string? ns,
        IReadOnlyList<(string Verb, string Group, string Resource)> needed,
        string advice,
        CancellationToken cancel)
    {
        try
        {
            using var cluster = await Cluster.ConnectAsync(kubeconfig, context.Log, context.Time, cancel);
            var refused = new List<string>();
            foreach (var (verb, group, resource) in needed)
                if (!await cluster.MayAsync(verb, group, resource, ns, cancel)) refused.Add($"{verb} {resource}");
            var where = ns is null ? "" : $" in namespace {ns}";
            return refused.Count == 0
                ? new(subject, true, $"{cluster.Server} answers, the rights{where} are there")
                : new(subject, false, $"{cluster.Server}: may not {string.Join(", ", refused)}{where}", advice);
        }
        catch (Exception failure) when (DoctorCheck.IsFinding(failure))
        {
            return DoctorCheck.Failed(subject, failure, "check the kubeconfig, and whether the cluster can be reached from here");
        }
    }
}
