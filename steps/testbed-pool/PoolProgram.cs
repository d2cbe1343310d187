using System.Text.Json;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Testbeds.Claims;
using CiSteps.Testbeds.Pool;

namespace CiSteps.TestbedPool;

/// <summary>What testbed-pool can be asked.</summary>
internal static class PoolProgram
{
    private static readonly Setting<string> privateNamespace =
        Setting.Text("testbed-private-namespace", "namespace of the management cluster with the testbeds' own credentials", "cisteps-pool");

    private static readonly Setting<string> listen = Setting.Text("listen", "address and port of the page and the API; \"off\" for none", "127.0.0.1:8087");
    private static readonly Setting<bool> allowPaths = Setting.Switch("allow-paths", "let classes name kubeconfig files on this machine");
    private static readonly Setting<bool> install = Setting.Switch("install", "apply the pool's definitions first, as the command install does");
    private static readonly Setting<bool> print = Setting.Switch("print", "print the manifests instead of applying them");
    private static readonly Setting<bool> json = Setting.Switch("json", "print JSON");
    private static readonly Setting<string> className = Setting.Text("class", "testbed class; made when there is none", "default");
    private static readonly Setting<string> clusterKubeconfig = Setting.Text("cluster-kubeconfig", "path of an administrator's kubeconfig of the cluster to add");

    private static IReadOnlyList<Setting> Access { get; } = [TestbedAccess.Management, TestbedAccess.Namespace, privateNamespace];

    public static ProgramCommand Create() => new("testbed-pool", "Keeps a pool of testbeds: binds claims, watches leases, revokes, cleans, verifies, quarantines.", [])
    {
        Commands =
        [
            new("run", "Serves the pool until stopped, with a page and a JSON API.", [.. Access, listen, allowPaths, install], RunAsync),
            new("install", "Puts the custom resource definitions, namespaces and rights into the management cluster.", [.. Access, print], InstallAsync),
            new("add", "Adds a cluster that one already has to a class of the pool.", [.. Access, className, clusterKubeconfig], AddAsync) { Argument = ("name", "the testbed's name") },
            new("status", "Shows the testbeds and the claims.", [.. Access, json], StatusAsync),
            new("retry", "Lets the pool try a quarantined testbed again.", [.. Access], RetryAsync) { Argument = ("name", "the testbed's name") },
        ],
    };

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var options = OptionsOf(context) with { AllowPaths = context.Settings.Get(allowPaths), Install = context.Settings.Get(install) };
        var address = PoolPage.Address(context.Settings.Get(listen));
        using var management = await ConnectAsync(context, cancel).ConfigureAwait(false);
        await using var page = address is null ? null : await PoolPage.StartAsync(address, management, options.Namespace, context.Log, cancel).ConfigureAwait(false);
        try
        {
            await PoolController.RunAsync(management, options, cancel).ConfigureAwait(false);
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
        if (context.Settings.Get(print))
        {
            await context.Output.WriteAsync(PoolInstallation.Manifests(options)).ConfigureAwait(false);
            return ExitCode.Done;
        }
        using var management = await ConnectAsync(context, cancel).ConfigureAwait(false);
        await PoolInstallation.ApplyAsync(management, options, cancel).ConfigureAwait(false);
        context.Log.Info($"the pool is installed in namespace \"{options.Namespace}\" of {management.Server}; add clusters with testbed-pool add, serve it with testbed-pool run");
        return ExitCode.Done;
    }

    private static async Task<int> AddAsync(ProgramContext context, CancellationToken cancel)
    {
        var name = Name(context);
        var path = context.Settings.Get(clusterKubeconfig);
        var options = OptionsOf(context);
        using var management = await ConnectAsync(context, cancel).ConfigureAwait(false);
        // Asked before it is added: a wrong kubeconfig is seen here and now, and not as a quarantined testbed later.
        using (var cluster = await Cluster.ConnectAsync(path, context.Log, context.Time, cancel).ConfigureAwait(false))
        {
            foreach (var (verb, group, resource) in new[] { ("create", "", "serviceaccounts"), ("create", "rbac.authorization.k8s.io", "clusterrolebindings"), ("delete", "", "namespaces") })
                if (!await cluster.MayAsync(verb, group, resource, null, cancel).ConfigureAwait(false))
                    throw new UsageException($"the kubeconfig \"{path}\" may not {verb} {resource} on {cluster.Server}; a testbed needs an administrator's");
        }
        await PoolInstallation.AddMemberAsync(management, options, context.Settings.Get(className), name,
            await File.ReadAllTextAsync(path, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        context.Log.Info($"\"{name}\" belongs to class \"{context.Settings.Get(className)}\" now");
        return ExitCode.Done;
    }

    private static async Task<int> StatusAsync(ProgramContext context, CancellationToken cancel)
    {
        using var management = await ConnectAsync(context, cancel).ConfigureAwait(false);
        var view = await PoolView.ReadAsync(management, context.Settings.Get(TestbedAccess.Namespace), cancel).ConfigureAwait(false);
        await context.Output.WriteLineAsync(context.Settings.Get(json) ? JsonSerializer.Serialize(view, PoolJson.Default.PoolView) : StatusTable.Of(view)).ConfigureAwait(false);
        return ExitCode.Done;
    }

    private static async Task<int> RetryAsync(ProgramContext context, CancellationToken cancel)
    {
        var name = Name(context);
        using var management = await ConnectAsync(context, cancel).ConfigureAwait(false);
        await PoolInstallation.RetryAsync(management, context.Settings.Get(TestbedAccess.Namespace), name, cancel).ConfigureAwait(false);
        context.Log.Info($"\"{name}\" will be tried again");
        return ExitCode.Done;
    }

    private static string Name(ProgramContext context) =>
        context.Argument is { Length: > 0 } name ? name : throw new UsageException("the testbed's name is missing; give it as the argument");

    private static PoolOptions OptionsOf(ProgramContext context) =>
        new() { Namespace = context.Settings.Get(TestbedAccess.Namespace), PrivateNamespace = context.Settings.Get(privateNamespace), Install = false };

    private static Task<Cluster> ConnectAsync(ProgramContext context, CancellationToken cancel)
    {
        var content = context.Settings.Environment.GetValueOrDefault(TestbedAccess.ContentVariable);
        return Cluster.ConnectAsync(content is { Length: > 0 } ? content : context.Settings.Get(TestbedAccess.Management), context.Log, context.Time, cancel);
    }
}
