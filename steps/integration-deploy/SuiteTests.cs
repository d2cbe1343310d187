using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.IntegrationDeploy;

/// <summary>Runs a suite's tests, as a job in the cluster or as a command beside it, and reads what they report.</summary>
internal sealed class SuiteTests(StepContext context, BuildLog log, SuiteDefinition suite, RegistryDefinition registry, string ns)
{
    private readonly ReportFormat format = ReportFormats.Parse(suite.Tests.Format);

    public async Task<(int? Exit, IReadOnlyList<TestReport> Reports, DeployFailure? Failure)> RunJobAsync(ITestCluster cluster, Manifest job, CancellationToken cancel)
    {
        log.Info($"running {job.Title}");
        var output = new OutputReport(format, $"log of {job.Title}");
        var result = await cluster.RunJobAsync(job, suite.TimeLimit, log, line =>
        {
            output.Add(line);
            log.Child(line);
        }, cancel).ConfigureAwait(false);
        var report = output.Finish();
        var failure = result.Failure is { } broken && output.RunningTest is { } running && report is not null
            ? broken with { Text = $"{broken.Text}; \"{running}\" was running" } : result.Failure;
        return (result.ExitCode, report is null ? [] : [report], failure);
    }

    public async Task<(int? Exit, IReadOnlyList<TestReport> Reports, DeployFailure? Failure)> RunCommandAsync(string kubeconfig, CancellationToken cancel)
    {
        var command = suite.Tests.Command!;
        var started = context.Time.GetUtcNow();
        var output = new OutputReport(format, $"output of the tests of suite \"{suite.Name}\"", context.WorkTree);
        var files = suite.Tests.Reports.Count > 0 ? new ReportFiles(context.WorkTree, suite.Tests.Reports) : null;
        var folder = Directory.CreateTempSubdirectory("cisteps-");
        var path = Path.Combine(folder.FullName, "kubeconfig");
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            var stream = new StreamWriter(path, options);
            await using (stream.ConfigureAwait(false)) await stream.WriteAsync(kubeconfig.AsMemory(), cancel).ConfigureAwait(false);
            var environment = command.Environment.ToDictionary(StringComparer.Ordinal);
            environment["KUBECONFIG"] = path;
            environment["CISTEPS_NAMESPACE"] = ns;
            log.Info($"running {string.Join(' ', command.Run)}{(command.Image is null ? "" : $" in {command.Image}")}");
            void OnLine(string line, bool isError)
            {
                output.Add(line);
                log.Child(line);
            }
            var running = command.Image is { } image ? InContainerAsync(image, command, environment, folder.FullName, OnLine, cancel) : OnAgentAsync(command, environment, OnLine, cancel);
            var exit = await WithNewsAsync(running, output).ConfigureAwait(false);
            var reports = files?.Read(format, started) ?? (output.Finish() is { } one ? [one] : []);
            return (exit, reports, null);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private Task<int> OnAgentAsync(CommandDefinition command, Dictionary<string, string> environment, Action<string, bool> onLine, CancellationToken cancel)
    {
        var variables = new Dictionary<string, string?>(StringComparer.Ordinal);
        // The chain's own settings and secrets are none of the tests' business, and a runner that believes itself on a
        // build server would write service messages, which are not passed on.
        foreach (var name in context.Settings.Environment.Keys)
            if (name.StartsWith("CISTEPS_", StringComparison.Ordinal) || name is "TEAMCITY_VERSION" or "TEAMCITY_BUILD_PROPERTIES_FILE")
                variables[name] = null;
        foreach (var (name, value) in environment) variables[name] = value;
        return ChildProcess.RunAsync(command.Run[0], [.. command.Run.Skip(1)],
            Path.GetFullPath(Path.Combine(context.WorkTree, command.Folder)), onLine, variables,
            onLeft: left => log.Info($"ended what {command.Run[0]} left running: {string.Join(", ", left)}"), cancel: cancel);
    }

    private async Task<int> InContainerAsync(string image, CommandDefinition command, Dictionary<string, string> environment, string folder, Action<string, bool> onLine, CancellationToken cancel)
    {
        using var engine = await ContainerEngine.ConnectAsync(context, cancel).ConfigureAwait(false);
        var container = new CommandContainer(engine, RegistryCredentials.Of(context, registry.Push, registry.Pull), log);
        var result = await container.RunAsync(new ContainerCommand(image, command.Run, context.WorkTree)
        {
            Folder = command.Folder,
            Environment = environment,
            Labels = EngineLabels.Of(context),
            Binds = [$"{folder}:{folder}:ro"],
            // The kubeconfig's address must mean the same inside: a cluster on this very machine listens on its loopback.
            Network = "host",
        }, onLine, cancel: cancel).ConfigureAwait(false);
        if (result.OutOfMemory) onLine("the container was ended by the kernel: out of memory", true);
        return result.Exit;
    }

    private async Task<int> WithNewsAsync(Task<int> command, OutputReport output)
    {
        var started = context.Time.GetTimestamp();
        var every = TimeSpan.FromSeconds(8);
        await using var news = context.Time.CreateTimer(_ => log.Progress(
            $"the tests of suite \"{suite.Name}\" run for {Durations.Show(context.Time.GetElapsedTime(started))}{(output.RunningTest is { } test ? $", now {test}" : "")}"), null, every, every);
        return await command.ConfigureAwait(false);
    }
}
