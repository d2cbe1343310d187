using System.Diagnostics;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>The real kubectl at work on the cluster under test; killed when it is still running at the end.</summary>
internal sealed class KubectlProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly CancellationTokenSource limit = new(Space.Patience);

    public KubectlProcess(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(ConformanceCluster.Kubectl, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment["KUBECONFIG"] = ConformanceCluster.KubeconfigPath;
        process = Process.Start(start)!;
    }

    /// <summary>The next line of what it says.</summary>
    public async Task<string?> LineAsync() => await process.StandardOutput.ReadLineAsync(limit.Token);

    /// <summary>Gives it its input, waits for its end and returns the rest of what it says.</summary>
    public async Task<(int Code, string Output, string Error)> EndAsync(string? input = null)
    {
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var error = process.StandardError.ReadToEndAsync(limit.Token);
        await process.StandardInput.WriteAsync(input ?? "");
        process.StandardInput.Close();
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output, await error);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
            process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        limit.Dispose();
    }
}
