using System.Diagnostics;
using CiSteps.Fixtures;

namespace CiSteps.Hosting.Tests;

public sealed class Endings
{
    private static async Task<(int Exit, TestStep Step)> RunAsync(
        Func<StepContext, CancellationToken, Task<Outcome>> body, bool server = false, CancellationToken stop = default)
    {
        using var folder = new TestFolder();
        var step = new TestStep();
        if (server) step.Environment["TEAMCITY_VERSION"] = "2025.11";
        return (await step.RunAsync(TestStep.Command(body), stop, "--work-tree", folder.Path), step);
    }

    [Test]
    public async Task Each_ending_has_its_code_and_problem()
    {
        async Task Expect(Func<StepContext, CancellationToken, Task<Outcome>> body, int code, string says)
        {
            var (exit, step) = await RunAsync(body, server: true);
            Assert.That(exit, Is.EqualTo(code));
            Assert.That(step.Output, Does.Contain(says));
            Assert.That(
                step.Output.Split("##teamcity[buildProblem ").Length - 1,
                Is.EqualTo(code == 0 ? 0 : 1),
                "one problem per failure");
        }

        using (Assert.EnterMultipleScope())
        {
            await Expect((_, _) => Task.FromResult(Outcome.Done("all is well").With("image", "x")), ExitCode.Done,
                "##teamcity[setParameter name='image' value='x' timestamp='");
            await Expect(
                (_, _) => Task.FromResult(Outcome.Refused("conflict", "no")), ExitCode.Refused, "identity='test-step.conflict'");
            await Expect((_, _) => throw new UsageException("bad \"x\""), ExitCode.Usage, "identity='test-step.usage'");
            await Expect(
                (_, _) => throw new UnavailableException("registry", "silent"),
                ExitCode.Unavailable,
                "identity='test-step.registry'");
            await Expect((_, _) => throw new InvalidOperationException("oops"), ExitCode.Bug, "identity='test-step.bug'");
            await Expect((_, _) =>
                throw new UnauthorizedAccessException("Access to '/home/nobody' is denied."),
                    ExitCode.Usage, "identity='test-step.usage'");
            await Expect((_, _) =>
                throw new IOException("Read-only file system : '/x'", 30), ExitCode.Usage, "identity='test-step.usage'");
            await Expect((_, _) =>
                throw new DirectoryNotFoundException($"no part of '{Path.GetTempPath()}x'"),
                    ExitCode.Usage, "identity='test-step.usage'");
            await Expect((_, _) =>
                throw new DirectoryNotFoundException("no part of '/elsewhere/x'"), ExitCode.Bug, "identity='test-step.bug'");
            // An HTTP time-out looks like a cancellation and is none.
            await Expect(
                (_, _) => throw new TaskCanceledException("HttpClient.Timeout"), ExitCode.Bug, "identity='test-step.bug'");
        }
    }

    [Test]
    public async Task A_bug_shows_its_whole_trace()
    {
        var (_, step) = await RunAsync((_, _) => throw new InvalidOperationException("oops"));

        Assert.That(
            step.Error, Does.Contain("System.InvalidOperationException: oops").And.Contain(nameof(A_bug_shows_its_whole_trace)));
    }

    private static async Task<(int Exit, string Output)> StopAsync(TestFolder folder, TimeProvider time,
        Func<CancellationToken, Task<Outcome>> run, CancellationToken stop)
    {
        using var output = new StringWriter();
        var exit = await StepHost.RunAsync(TestStep.Command(async (context, cancel) =>
        {
            context.Run = TestStep.Run;
            return await run(cancel);
        }), ["--work-tree", folder.Path], output, output, new Dictionary<string, string> { ["TEAMCITY_VERSION"] = "2025.11" },
            time, stop: stop);
        return (exit, output.ToString());
    }

    [Test]
    public async Task A_verdict_that_was_reached_before_the_stop_stands_and_goes_out()
    {
        using var folder = new TestFolder();
        using var stop = new CancellationTokenSource();
        var (exit, output) = await StopAsync(folder, TimeProvider.System, async _ =>
        {
            await stop.CancelAsync();
            return Outcome.Refused("tests-failed", "1 of 2 failed");
        }, stop.Token);
        Assert.That(exit, Is.EqualTo(ExitCode.Refused), output);
        Assert.That(output, Does.Contain("publishArtifacts '.ci-steps/evidence/test-step/**"),
            "a stopped build publishes nothing later");
        Assert.That(File.ReadAllText(folder.Of(".ci-steps/evidence/test-step/statement.json")), Does.Contain("1 of 2 failed"));
    }

    [Test]
    public async Task A_step_that_does_not_end_when_it_is_stopped_leaves_a_word()
    {
        using var folder = new TestFolder();
        using var stop = new CancellationTokenSource();
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var running = StopAsync(folder, time, _ => new TaskCompletionSource<Outcome>().Task, stop.Token);
        await stop.CancelAsync();
        time.Advance(TimeSpan.FromSeconds(26));
        Assert.That(running.IsCompleted, Is.False, "it has its time");
        time.Advance(TimeSpan.FromSeconds(1));
        var (exit, output) = await running.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.That(exit, Is.EqualTo(ExitCode.Cancelled), output);
        Assert.That(File.ReadAllText(folder.Of(".ci-steps/evidence/test-step/statement.json")),
            Does.Contain("did not end within 27s"));
        Assert.That(output, Does.Contain("publishArtifacts"));
    }

    [Test]
    public async Task Cancelled_from_outside_is_130()
    {
        using var stop = new CancellationTokenSource();
        var (exit, step) = await RunAsync(async (_, cancel) =>
        {
            await stop.CancelAsync();
            cancel.ThrowIfCancellationRequested();
            return Outcome.Done("never");
        }, stop: stop.Token);

        Assert.That(exit, Is.EqualTo(ExitCode.Cancelled));
        Assert.That(step.Output, Does.Contain("asked to stop"));
    }

    [TestCase("TERM")]
    [TestCase("INT")]
    public async Task A_signal_lets_the_step_clean_up_and_end_with_130(string signal)
    {
        using var folder = new TestFolder();
        using var process = TestStep.Start("--do", "wait", "--file", folder.Of("cleaned"), "--work-tree", folder.Path);
        var first = await process.StandardOutput.ReadLineAsync();
        Assert.That(first, Does.Contain("waiting"));

        using (var kill = Process.Start(
            "kill", [$"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
            await kill.WaitForExitAsync();
        var rest = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Cancelled));
            Assert.That(rest, Does.Contain("was asked to stop and has cleaned up"));
            Assert.That(File.Exists(folder.Of("cleaned")), Is.True);
        }
    }

    [TestCase("TERM", "TERM")]
    [TestCase("INT", "TERM")]
    [TestCase("TERM", "INT")]
    public async Task Further_signals_change_nothing(string first, string second)
    {
        if (OperatingSystem.IsWindows()) Assert.Pass("there are no signals there");
        using var folder = new TestFolder();
        using var process = TestStep.Start("--do", "wait", "--file", folder.Of("cleaned"), "--work-tree", folder.Path);
        Assert.That(await process.StandardOutput.ReadLineAsync(), Does.Contain("waiting"));
        var said = process.StandardError.ReadToEndAsync();

        using (var kill = Process.Start(
            "/bin/sh",
            ["-c", $"kill -{first} $0; sleep 0.03; kill -{second} $0; sleep 0.03; kill -{second} $0",
                process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        var rest = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Cancelled), await said);
            Assert.That(rest, Does.Contain("was asked to stop and has cleaned up"));
            Assert.That(await said, Does.Contain("it is stopping already").And.Not.Contain("   at "));
            Assert.That(File.Exists(folder.Of("cleaned")), Is.True);
        }
    }

    [Test]
    public async Task A_working_directory_that_is_gone_is_one_line()
    {
        if (OperatingSystem.IsWindows()) Assert.Pass("a folder in use cannot be removed there");
        using var folder = new TestFolder();
        using var process = Process.Start(new ProcessStartInfo("/bin/sh",
            ["-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" --do done", TestStep.ProgramPath])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var said = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync() + await said;
        await process.WaitForExitAsync();

        Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Usage), output);
        Assert.That(output, Does.Contain("the working directory does not exist").And.Not.Contain("   at "));
    }

    [Test]
    public async Task The_version_is_the_programs_own()
    {
        using var process = TestStep.Start("--version");
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        Assert.That((process.ExitCode, output.Split('+')[0].Trim()), Is.EqualTo((ExitCode.Done, StepHost.Version.Split('+')[0])));
    }

    [TestCase("done", ExitCode.Done)]
    [TestCase("refuse", ExitCode.Refused)]
    [TestCase("nonsense", ExitCode.Usage)]
    [TestCase("unavailable", ExitCode.Unavailable)]
    [TestCase("bug", ExitCode.Bug)]
    public async Task A_process_ends_with_the_steps_code(string what, int code)
    {
        using var folder = new TestFolder();
        using var process = TestStep.Start("--do", what, "--work-tree", folder.Path);
        _ = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        Assert.That(process.ExitCode, Is.EqualTo(code));
    }
}
