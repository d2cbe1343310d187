using CiSteps.Hosting.Options;

namespace CiSteps.Hosting.Tests;

/// <summary>Programs with several commands end by the same rules as steps.</summary>
public sealed class Programs
{
    private static readonly StepOption<string> Place = StepOption.Text("place", "where", "here");

    private static readonly StepOption<bool> Loud = StepOption.Switch("loud", "say so");

    private static async Task<(int Exit, string Output, string Error)> RunAsync(
        Func<ProgramContext, CancellationToken, Task<int>> run,
        string[] args,
        bool server = false,
        CancellationToken stop = default)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var environment = new Dictionary<string, string> { ["CISTEPS_PLACE"] = "there" };
        if (server) environment["TEAMCITY_VERSION"] = "2025.11";
        var program = new ProgramCommand("tool", "Does things.", [])
        {
            Commands = [new ProgramCommand("go", "Goes.", [Place, Loud], run) { Argument = ("target", "where to") }],
        };
        var exit = await ProgramHost.RunAsync(program, args, output, error, environment, stop: stop);
        return (exit, output.ToString(), error.ToString());
    }

    [Test]
    public async Task A_command_that_does_not_end_when_it_is_stopped_is_left_behind()
    {
        using var stop = new CancellationTokenSource();
        using var error = new StringWriter();
        var program = new ProgramCommand("tool", "Does things.", [], (_, _) => new TaskCompletionSource<int>().Task)
        {
            Grace = TimeSpan.FromMilliseconds(50),
        };
        var running = ProgramHost.RunAsync(
            program, [], TextWriter.Null, error, new Dictionary<string, string>(), stop: stop.Token);
        await stop.CancelAsync();
        Assert.That(await running.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(ExitCode.Cancelled));
        Assert.That(error.ToString(), Does.Contain("did not end within"));
    }

    [TestCase(new[] { "go" }, "there", null)]
    [TestCase(new[] { "go", "home" }, "there", "home")]
    [TestCase(new[] { "go", "home", "--place", "@x" }, "@x", "home")]
    public async Task A_command_gets_its_settings_and_its_argument(string[] args, string place, string? argument)
    {
        var seen = ("", (string?)"none");
        var (exit, _, error) = await RunAsync((context, _) =>
        {
            seen = (context.Options.Get(Place), context.Argument);
            return Task.FromResult(ExitCode.Refused);
        }, args);

        Assert.That(exit, Is.EqualTo(ExitCode.Refused), error);
        Assert.That(seen, Is.EqualTo((place, argument)));
    }

    [TestCase(new[] { "go", "--loud", "home" }, true, "home")]
    [TestCase(new[] { "go", "home", "--loud" }, true, "home")]
    [TestCase(new[] { "go", "--loud=false", "home" }, false, "home")]
    [TestCase(new[] { "go", "--loud", "false", "home" }, false, "home")]
    public async Task A_switch_does_not_take_the_argument_for_its_value(string[] args, bool loud, string argument)
    {
        var seen = (false, (string?)"none");
        var (exit, _, error) = await RunAsync((context, _) =>
        {
            seen = (context.Options.Get(Loud), context.Argument);
            return Task.FromResult(ExitCode.Done);
        }, args);

        Assert.That(exit, Is.Zero, error);
        Assert.That(seen, Is.EqualTo((loud, argument)));
    }

    [TestCase(new[] { "stay" }, "stay")]
    [TestCase(new[] { "go", "--plaec", "x" }, "--plaec")]
    [TestCase(new[] { "go", "--plaec" }, "--plaec")]
    [TestCase(new[] { "go", "a", "b" }, "b")]
    public async Task A_wrong_command_line_is_usage(string[] args, string named)
    {
        var (exit, output, error) = await RunAsync(
            (_, _) => throw new InvalidOperationException("it must not run"), args, server: true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(error, Does.Contain(named).And.Contain("--help"));
            Assert.That(output, Does.Contain("identity='tool.usage'"));
        }
    }

    [Test]
    public async Task Each_ending_has_its_code()
    {
        using var stop = new CancellationTokenSource();
        async Task<int> Ending(Func<ProgramContext, CancellationToken, Task<int>> run) =>
            (await RunAsync(run, ["go"], stop: stop.Token)).Exit;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(await Ending((_, _) => Task.FromResult(ExitCode.Done)), Is.EqualTo(ExitCode.Done));
            Assert.That(await Ending((_, _) => throw new UsageException("bad")), Is.EqualTo(ExitCode.Usage));
            Assert.That(
                await Ending((_, _) => throw new UnavailableException("api", "silent")), Is.EqualTo(ExitCode.Unavailable));
            Assert.That(await Ending((_, _) => throw new InvalidOperationException("oops")), Is.EqualTo(ExitCode.Bug));
            Assert.That(await Ending((_, _) => throw new UnauthorizedAccessException("Access to '/home/nobody' is denied.")),
                Is.EqualTo(ExitCode.Usage));
            Assert.That(await Ending(async (_, cancel) =>
            {
                await stop.CancelAsync();
                cancel.ThrowIfCancellationRequested();
                return ExitCode.Done;
            }), Is.EqualTo(ExitCode.Cancelled));
        }
    }

    [Test]
    public async Task Help_names_the_commands()
    {
        var (exit, output, _) = await RunAsync((_, _) => Task.FromResult(ExitCode.Bug), ["--help"]);

        Assert.That(exit, Is.EqualTo(ExitCode.Done));
        Assert.That(output, Does.Contain("go").And.Contain("Goes."));
    }
}
