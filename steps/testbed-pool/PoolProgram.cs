using System.Text.Json;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.TestbedPool;

/// <summary>What testbed-pool can be asked.</summary>
internal static class PoolProgram
{
    private static readonly StepOption<string> PrivateNamespace =
        StepOption.Text(
            "testbed-private-namespace",
            "namespace of the management cluster with the testbeds' own credentials",
            "cisteps-pool");

    private static readonly StepOption<string> Listen = StepOption.Text(
        "listen", "address and port of the page and the API; \"off\" for none", "127.0.0.1:8087");
    private static readonly StepOption<bool> AllowPaths = StepOption.Switch("allow-paths",
        "let classes name kubeconfig files on this machine");
    private static readonly StepOption<bool> Install = StepOption.Switch("install",
        "apply the pool's definitions first, as the command install does");
    private static readonly StepOption<bool> Print = StepOption.Switch("print", "print the manifests instead of applying them");
    private static readonly StepOption<bool> Json = StepOption.Switch("json", "print JSON");
    private static readonly StepOption<string> ClassName = StepOption.Text(
        "class", "testbed class; made when there is none", "default");
    private static readonly StepOption<string> ClusterKubeconfig = StepOption.Text("cluster-kubeconfig",
        "path of an administrator's kubeconfig of the cluster to add");

    private static IReadOnlyList<StepOption> Access { get; } = [
        TestbedAccess.PoolKubeconfig,
        TestbedAccess.PoolNamespace,
        PrivateNamespace
    ];

    public static ProgramCommand Create() =>
        new("testbed-pool", "Keeps a pool of testbeds: binds claims, watches leases, revokes, cleans, verifies, quarantines.", [])
        {
            Commands =
            [
                new(
                    "run",
                    "Serves the pool until stopped, with a page and a JSON API.",
                    [.. Access, Listen, AllowPaths, Install],
                    RunAsync),
                new(
                    "install",
                    "Puts the custom resource definitions, namespaces and rights into the management cluster.",
                    [.. Access, Print],
                    InstallAsync),
                new(
                    "add",
                    "Adds a cluster that one already has to a class of the pool.",
                    [.. Access, ClassName, ClusterKubeconfig],
                    AddAsync) { Argument = ("name", "the testbed's name") },
                new("status", "Shows the testbeds and the claims.", [.. Access, Json], StatusAsync),
                new(
                    "retry",
                    "Lets the pool try a quarantined testbed again.",
                    [.. Access],
                    RetryAsync) { Argument = ("name", "the testbed's name") },
            ],
        };

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var options = OptionsOf(context) with
        {
            AllowPaths = context.Options.Get(AllowPaths),
            Install = context.Options.Get(Install)
        };
        var address = PoolPage.Address(context.Options.Get(Listen));
        using var management = await ConnectAsync(context, cancel);
        await using var page = address is null
            ? null
            : await PoolPage.StartAsync(address, management, options.Namespace, context.Log, cancel);
        try
        {
            await PoolController.RunAsync(management, options, cancel);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // Being stopped is how a server ends.
            context.Log.Info("stopped; leases and queue stay as they are");
        }
        return ExitCode.Done;
    }

    private static async Task<int> InstallAsync(ProgramContext context, CancellationToken cancel)
    {
        var options = OptionsOf(context);
        if (context.Options.Get(Print))
        {
            await context.Output.WriteAsync(PoolInstallation.Manifests(options));
            return ExitCode.Done;
        }
        using var management = await ConnectAsync(context, cancel);
        await PoolInstallation.ApplyAsync(management, options, cancel);
        context.Log.Info(
            $"the pool is installed in namespace \"{options.Namespace}\" of {management.Server}; " +
            "add clusters with testbed-pool add, serve it with testbed-pool run");
        return ExitCode.Done;
    }

    private static async Task<int> AddAsync(ProgramContext context, CancellationToken cancel)
    {
        var name = Name(context);
        var path = context.Options.Get(ClusterKubeconfig);
        var options = OptionsOf(context);
        using var management = await ConnectAsync(context, cancel);
        // Asked before it is added: a wrong kubeconfig is seen here and now, and not as a quarantined testbed later.
        using (var cluster = await Cluster.ConnectAsync(path, context.Log, context.Time, cancel))
        {
            foreach (var (verb, group, resource) in new[]
            {
                ("create", "", "serviceaccounts"),
                ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
                ("delete", "", "namespaces")
            })
                if (!await cluster.MayAsync(verb, group, resource, null, cancel))
                    throw new UsageException(
                        $"the kubeconfig \"{path}\" may not {verb} {resource} on {cluster.Server}; " +
                        "a testbed needs an administrator's");
        }
        await PoolInstallation.AddMemberAsync(management, options, context.Options.Get(ClassName), name,
            await File.ReadAllTextAsync(path, cancel), cancel);
        context.Log.Info($"\"{name}\" belongs to class \"{context.Options.Get(ClassName)}\" now");
        return ExitCode.Done;
    }

    private static async Task<int> StatusAsync(ProgramContext context, CancellationToken cancel)
    {
        using var management = await ConnectAsync(context, cancel);
        var view = await PoolView.ReadAsync(management, context.Options.Get(TestbedAccess.PoolNamespace), cancel);
        await context.Output.WriteLineAsync(
            context.Options.Get(Json) ? JsonSerializer.Serialize(view, PoolJson.Default.PoolView) : StatusTable.Of(view));
        return ExitCode.Done;
    }

    private static async Task<int> RetryAsync(ProgramContext context, CancellationToken cancel)
    {
        var name = Name(context);
        using var management = await ConnectAsync(context, cancel);
        await PoolInstallation.RetryAsync(management, context.Options.Get(TestbedAccess.PoolNamespace), name, cancel);
        context.Log.Info($"\"{name}\" will be tried again");
        return ExitCode.Done;
    }

    private static string Name(ProgramContext context) =>
        context.Argument is { Length: > 0 } name
            ? name
            : throw new UsageException("the testbed's name is missing; give it as the argument");

    private static PoolOptions OptionsOf(ProgramContext context) =>
        new()
        {
            Namespace = context.Options.Get(TestbedAccess.PoolNamespace),
            PrivateNamespace = context.Options.Get(PrivateNamespace),
            Install = false
        };

    private static Task<Cluster> ConnectAsync(ProgramContext context, CancellationToken cancel)
    {
        var content = context.Options.Environment.GetValueOrDefault(TestbedAccess.PoolKubeconfigVariable);
        return Cluster.ConnectAsync(
            content is { Length: > 0 } ? content : context.Options.Get(TestbedAccess.PoolKubeconfig),
            context.Log,
            context.Time,
            cancel);
    }
}
