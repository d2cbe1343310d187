using CiSteps.Fixtures;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting.Tests;

public sealed class SettingsAndOptions
{
    private static readonly StepOption<string> Place = StepOption.Text("place", "where", "default", "cisteps.place");
    private static readonly StepOption<bool> Quick = StepOption.Switch("quick", "be quick");
    private static readonly StepOption<TimeSpan> Limit = StepOption.Duration("limit", "how long", "5m");

    private static StepCommand Command(Action<StepContext>? see = null) =>
        new("test-step", "Tests.", [Place, Quick, Limit], (context, _) =>
        {
            see?.Invoke(context);
            return Task.FromResult(Outcome.Done("done"));
        });

    [TestCase(true, true, true, "option", "option --place")]
    [TestCase(false, true, true, "environment", "environment CISTEPS_PLACE")]
    [TestCase(false, false, true, "server", "build parameter cisteps.place")]
    [TestCase(false, false, false, "default", "default")]
    public async Task The_strongest_place_wins_and_is_named(
        bool option, bool environment, bool server, string value, string source)
    {
        using var folder = new TestFolder();
        var step = new TestStep();
        if (environment) step.Environment["CISTEPS_PLACE"] = "environment";
        if (server) step.Environment["TEAMCITY_BUILD_PROPERTIES_FILE"] = folder.Write("p", "cisteps.place=server\n");
        string[] args = ["--work-tree", folder.Path, .. option ? ["--place", "option"] : Array.Empty<string>()];
        var seen = "";

        var exit = await step.RunAsync(Command(context => seen = context.Options.Get(Place)), default, args);
        var explained = await step.RunAsync(
            Command(_ => Assert.Fail("explaining does not run the step")), default, [.. args, "--explain-options"]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((exit, explained), Is.EqualTo((ExitCode.Done, ExitCode.Done)), step.Error);
            Assert.That(seen, Is.EqualTo(value));
            Assert.That(
                step.Output.Split('\n').Single(line => line.StartsWith("place ", StringComparison.Ordinal)),
                Does.Match($@"^place\s+{value}\s+{source}\s*$"));
            Assert.That(step.Output, Does.Match(@"(?m)^branch\s+not set").And.Match(@"(?m)^limit\s+5m\s+default"));
        }
    }

    [Test]
    public async Task An_empty_option_is_one_that_is_not_given()
    {
        using var folder = new TestFolder();
        var seen = "";
        var step = new TestStep { Environment = { ["CISTEPS_PLACE"] = "environment" } };

        var exit = await step.RunAsync(
            Command(context => seen = $"{context.Options.Get(Place)} {context.Options.Get(Quick)} {context.Options.Get(Limit)}"),
            default,
            ["--work-tree", folder.Path, "--place=", "--quick=", "--limit="]);

        Assert.That((exit, seen), Is.EqualTo((ExitCode.Done, "environment False 00:05:00")), step.Output + step.Error);
    }

    [TestCase("--quick", ExpectedResult = true)]
    [TestCase("--quick true", ExpectedResult = true)]
    [TestCase("--quick=false", ExpectedResult = false)]
    [TestCase("", ExpectedResult = false)]
    public async Task<bool> Switches_stand_alone_or_with_a_word(string args)
    {
        using var folder = new TestFolder();
        var seen = false;
        var step = new TestStep();
        var exit = await step.RunAsync(
            Command(context => seen = context.Options.Get(Quick)),
            default,
            ["--work-tree", folder.Path, .. args.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.That(exit, Is.EqualTo(ExitCode.Done), step.Output + step.Error);
        return seen;
    }

    [Test]
    public async Task A_value_that_begins_with_an_at_sign_is_a_value()
    {
        using var folder = new TestFolder();
        var seen = "";
        var exit = await new TestStep().RunAsync(
            Command(context => seen = context.Options.Get(Place)), default, "--work-tree", folder.Path, "--place", "@latest");

        Assert.That((exit, seen), Is.EqualTo((ExitCode.Done, "@latest")));
    }

    [TestCase("--plaec x", "'--plaec'")]
    [TestCase("x", "'x'")]
    [TestCase("--place", "'--place'")]
    [TestCase("--place a --place b", "'--place'")]
    public async Task A_wrong_command_line_is_usage_and_a_problem_on_the_server(string args, string named)
    {
        var step = new TestStep { Environment = { ["TEAMCITY_VERSION"] = "2025.11" } };
        var exit = await step.RunAsync(Command(_ => Assert.Fail("it must not run")), default, args.Split(' '));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(step.Error, Does.Contain(named).And.Contain("see test-step --help"));
            Assert.That(step.Output, Does.StartWith("##teamcity[buildProblem ").And.Contain("identity='test-step.usage'"));
        }
    }

    [TestCase("--limit 5x", "5x")]
    [TestCase("--limit 0s", "0s")]
    [TestCase("--quick maybe", "maybe")]
    [TestCase("--work-tree /no/such/folder", "/no/such/folder")]
    public async Task A_wrong_value_is_usage_before_the_step_begins(string args, string named)
    {
        using var folder = new TestFolder();
        var step = new TestStep();
        string[] place = args.Contains("work-tree", StringComparison.Ordinal) ? [] : ["--work-tree", folder.Path];
        var exit = await step.RunAsync(Command(_ => Assert.Fail("it must not run")), default, [.. place, .. args.Split(' ')]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(step.Output, Does.Contain($"\"{named}\""));
        }
    }

    [TestCase("--help", "--place")]
    [TestCase("--help", "CISTEPS_PLACE")]
    [TestCase("--help", "--dry-run")]
    public async Task Help_ends_well(string args, string says)
    {
        var step = new TestStep();
        var exit = await step.RunAsync(Command(), default, args);

        Assert.That(exit, Is.EqualTo(ExitCode.Done));
        Assert.That(step.Output, Does.Contain(says));
    }

    [TestCase("500ms", 500)]
    [TestCase("90s", 90_000)]
    [TestCase("1h30m", 5_400_000)]
    [TestCase("2d", 172_800_000)]
    public void Lengths_of_time_are_read(string text, double milliseconds) =>
        Assert.That(Durations.Parse(text).TotalMilliseconds, Is.EqualTo(milliseconds));

    [TestCase("")]
    [TestCase("5")]
    [TestCase("m")]
    [TestCase("-5m")]
    [TestCase("1.5h")]
    [TestCase("5 m")]
    [TestCase("99999999999d")]
    [TestCase("2000000000d")]
    public void What_is_no_length_of_time_is_refused(string text) =>
        Assert.That(() => Durations.Parse(text), Throws.TypeOf<FormatException>());

    [TestCase(0.4, ExpectedResult = "0.4s")]
    [TestCase(59.96, ExpectedResult = "1m")]
    [TestCase(90, ExpectedResult = "1m 30s")]
    [TestCase(3600, ExpectedResult = "1h")]
    [TestCase(5400, ExpectedResult = "1h 30m")]
    [TestCase(90000, ExpectedResult = "25h")]
    public string Lengths_of_time_are_shown(double seconds) => Durations.Show(TimeSpan.FromSeconds(seconds));
}
