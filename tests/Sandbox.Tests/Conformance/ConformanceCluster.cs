using System.Diagnostics;
using CiSteps.Fixtures;
using k8s;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>The cluster under test: the one that CISTEPS_TEST_KUBECONFIG names, else a sandbox of the run's own. Each test class has a namespace.</summary>
[SetUpFixture]
internal sealed class ConformanceCluster
{
    private static SandboxFixture? sandbox;

    public static string KubeconfigPath { get; private set; } = "";

    public static Kubernetes Client { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task Bring_up()
    {
        var given = Environment.GetEnvironmentVariable("CISTEPS_TEST_KUBECONFIG");
        if (given is not { Length: > 0 })
        {
            sandbox = await SandboxFixture.StartAsync("conformance", controllers: true);
            given = sandbox.KubeconfigPath;
        }
        KubeconfigPath = given;
        Client = new Kubernetes(KubernetesClientConfiguration.BuildConfigFromConfigFile(given));
    }

    [OneTimeTearDown]
    public async Task Take_down()
    {
        Client.Dispose();
        if (sandbox is not null)
            await sandbox.DisposeAsync();
    }

    public static async Task<string> NewNamespaceAsync()
    {
        var ns = await Client.CoreV1.CreateNamespaceAsync(new() { Metadata = new() { GenerateName = "conformance-" } });
        return ns.Metadata.Name;
    }

    /// <summary>Runs the real kubectl against the cluster.</summary>
    public static async Task<(int Code, string Output, string Error)> KubectlAsync(string? input, params string[] arguments)
    {
        var start = new ProcessStartInfo("kubectl") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KUBECONFIG"] = KubeconfigPath;
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        await process.StandardInput.WriteAsync(input ?? "");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var error = process.StandardError.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output, await error);
    }
}
