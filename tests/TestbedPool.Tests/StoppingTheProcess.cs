using System.Diagnostics;
using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.TestbedPool.Tests;

[TestFixture]
internal sealed class StoppingTheProcess
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Test]
    public async Task Sigterm_ends_the_served_pool_cleanly_and_gives_the_turn_back()
    {
        await using var management = await SandboxFixture.StartAsync("management");
        using var process = Process.Start(new ProcessStartInfo("dotnet",
            [
                Path.Combine(AppContext.BaseDirectory, "testbed-pool.dll"),
                "run",
                "--install",
                "--listen",
                "off",
                "--pool-kubeconfig",
                management.KubeconfigPath
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            var said = "";
            while (!said.Contains("is served", StringComparison.Ordinal))
                said += await process.StandardOutput.ReadLineAsync(limit.Token)
                    ?? throw new AssertionException("it ended: " + said + await process.StandardError.ReadToEndAsync());

            using (var signal = Process.Start(
                "kill", ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
                await signal.WaitForExitAsync(limit.Token);
            said += await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);

            using var cluster = await Cluster.ConnectAsync(management.Kubeconfig, BuildLog.Silent, TimeProvider.System);
            var lease = await cluster.FindAsync(
                "/apis/coordination.k8s.io/v1/namespaces/cisteps-pool/leases/testbed-pool", limit.Token);
            Assert.Multiple(() =>
            {
                Assert.That(process.ExitCode, Is.Zero, said);
                Assert.That(said, Does.Contain("leases and queue stay as they are"));
                Assert.That((string?)lease!["spec"]!["holderIdentity"], Is.Empty);
            });
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }
}
