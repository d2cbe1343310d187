using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.IntegrationDeploy;

/// <summary>Runs a suite's tests, as a job in the cluster or as a command beside it, and reads what they report.</summary>
internal sealed class SuiteTests(StepContext context, BuildLog log, SuiteDefinition suite, RegistryDefinition registry, string ns)
{
    private readonly ReportFormat format = ReportFormats.Parse(suite.Tests.Format);

    public async Task<(int? Exit, IReadOnlyList<TestReport> Reports, StepFailure? Failure)> RunJobAsync(
        ITestCluster cluster, Manifest job, CancellationToken cancel)
    {
        log.Info($"running {job.Title}");
        var output = new OutputReport(format, $"log of {job.Title}");
        var result = await cluster.RunJobAsync(job, suite.TimeLimit, log, line =>
        {
            output.Add(line);
            log.ProcessOutput(line);
        }, cancel);
        var report = output.Finish();
        var failure = result.Failure is { } broken && output.RunningTest is { } running && report is not null
            ? broken with { Text = $"{broken.Text}; \"{running}\" was running" } : result.Failure;
        return (result.ExitCode, report is null ? [] : [report], failure);
    }

    public async Task<(int? Exit, IReadOnlyList<TestReport> Reports, StepFailure? Failure)> RunCommandAsync(
        string kubeconfig, CancellationToken cancel)
    {
        var command = suite.Tests.Command!;
        var output = new OutputReport(format, $"output of the tests of suite \"{suite.Name}\"", context.WorkTree);
        var files = suite.Tests.Reports.Count > 0 ? new ReportFiles(context.WorkTree, suite.Tests.Reports) : null;
        var start = files?.Begin();
        var folder = Directory.CreateTempSubdirectory("cisteps-");
        var path = Path.Combine(folder.FullName, "kubeconfig");
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            var stream = new StreamWriter(path, options);
            await using (stream) await stream.WriteAsync(kubeconfig.AsMemory(), cancel);
            log.Info($"running {string.Join(' ', command.Run)}{(command.Image is null ? "" : $" in {command.Image}")}");
            void OnLine(string line, bool isError)
            {
                output.Add(line);
                log.ProcessOutput(line);
            }
            using var commands = new ConfiguredCommands(
                context, log, RegistryCredentials.Of(context, registry.Push, registry.Pull));
            var running = commands.RunAsync(command, new(OnLine)
            {
                Environment = new Dictionary<string, string> { ["KUBECONFIG"] = path, ["CISTEPS_NAMESPACE"] = ns },
                Binds = [$"{folder.FullName}:{folder.FullName}:ro"],
                // The kubeconfig's address must mean the same inside: a cluster on this very machine listens on its loopback.
                Network = "host",
            }, cancel);
            var exit = await WithNewsAsync(running, output);
            var reports = files?.Read(format, start) ?? (output.Finish() is { } one ? [one] : []);
            return (exit, reports, null);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<int> WithNewsAsync(Task<int> command, OutputReport output)
    {
        var started = context.Time.GetTimestamp();
        var every = TimeSpan.FromSeconds(8);
        await using var news = context.Time.CreateTimer(_ => log.Progress(
            $"the tests of suite \"{suite.Name}\" run for " +
            $"{Durations.Show(context.Time.GetElapsedTime(started))}{(output.RunningTest is { } test ? $", now {test}" : "")}"),
            null,
            every,
            every);
        return await command;
    }
}
