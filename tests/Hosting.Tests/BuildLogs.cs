using CiSteps.Fixtures;
using CiSteps.Hosting.Messages;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Hosting.Tests;

public sealed class BuildLogs
{
    private static string Server(Action<BuildLog> write)
    {
        using var output = new StringWriter { NewLine = "\n" };
        write(new BuildLog(output, forServer: true));
        return output.ToString();
    }

    [TestCase("##teamcity[buildStop comment='x']")]
    [TestCase("   \t##teamcity[buildStop comment='x']")]
    [TestCase("text ##teamcity[buildStop comment='x']")]
    [TestCase("##TEAMCITY[buildStop comment='x']")]
    [TestCase("a\r##teamcity[buildStop comment='x']")]
    [TestCase("a\n##teamcity[buildStop comment='x']")]
    [TestCase("a\u2028##teamcity[buildStop comment='x']")]
    [TestCase("a\u0085##teamcity[buildStop comment='x']")]
    [TestCase("a\f##teamcity[buildStop comment='x']\v")]
    [TestCase("']\n##teamcity[buildStop comment='x']")]
    [TestCase("##teamcity[message text='x'] ##teamcity[buildStop comment='x']")]
    [TestCase("##teamcity[disableServiceMessages]")]
    public void No_text_becomes_a_message_of_its_own(string text)
    {
        var written = Server(log =>
        {
            log.ProcessOutput(text);
            log.Info(text);
            log.Warning(text);
            log.Progress(text);
            log.Problem("x.y", text);
            log.Block(text).Dispose();
            log.Status(text);
        });

        foreach (var line in written.Split(['\n', '\r', '\u0085', '\u2028'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (!line.Contains("##teamcity", StringComparison.OrdinalIgnoreCase)) continue;
            Assert.That(ServiceMessage.TryParse(line, out var message), Is.True, line);
            Assert.That(
                message!.Name,
                Is.AnyOf("message", "progressMessage", "buildProblem", "blockOpened", "blockClosed", "buildStatus"));
            Assert.That(
                line.IndexOf("##teamcity[", 1, StringComparison.Ordinal), Is.EqualTo(-1), "a quoted bracket is always escaped");
        }
    }

    [Test]
    public async Task An_output_that_takes_nothing_ends_no_step([Values] bool forServer)
    {
        var step = TestStep.Command((context, _) =>
        {
            context.Log.Info("a line");
            return Task.FromResult(Outcome.Done("done"));
        });
        using var full = new FullDisk();
        using var folder = new TestFolder();
        Dictionary<string, string> environment = forServer ? new() { ["TEAMCITY_VERSION"] = "2025.11" } : [];
        var exit = await StepHost.RunAsync(step, ["--work-tree", folder.Path], full, full, environment, TimeProvider.System);
        Assert.That(exit, Is.Zero);
    }

    [Test]
    public void Ordinary_lines_pass_as_they_are() =>
        Assert.That(Server(log => log.ProcessOutput("a [b] 'c' | größer")), Is.EqualTo("a [b] 'c' | größer\n"));

    [Test]
    public void A_problem_is_cut_at_the_servers_limits()
    {
        var line = Server(log => log.Problem(new string('i', 100), new string('p', 5000))).TrimEnd();

        Assert.That(ServiceMessage.TryParse(line, out var message), Is.True);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(message!["identity"], Has.Length.EqualTo(60));
            Assert.That(message["description"], Has.Length.EqualTo(4000).And.EndsWith("…"));
        }
    }

    [Test]
    public void Lines_of_many_threads_never_mix()
    {
        var written = Server(log => Parallel.For(0, 8, thread =>
        {
            for (var line = 0; line < 500; line++) log.ProcessOutput(new string((char)('a' + thread), 200));
        }));

        var lines = written.TrimEnd().Split('\n');
        Assert.That(lines, Has.Length.EqualTo(4000));
        Assert.That(lines.All(line => line.Length == 200 && line.Distinct().Count() == 1), Is.True);
    }

    [Test]
    public void A_message_says_when_it_was_said_and_keeps_that_when_it_is_passed_on()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 11, 24, 23, 5, 9, 40, TimeSpan.Zero));
        clock.SetLocalTimeZone(TimeZoneInfo.CreateCustomTimeZone("east", TimeSpan.FromHours(5.5), "east", "east"));
        using var output = new StringWriter { NewLine = "\n" };
        var log = new BuildLog(output, forServer: true, time: clock);
        log.Warning("slow");
        log.Progress("the short form has no place for it");
        log.Send(ServiceMessage.With("message", ("text", "of a suite"), ("timestamp", "2026-11-24T23:00:00.000+0000")));

        var written = output.ToString()
            .TrimEnd()
            .Split('\n')
            .Select(line => ServiceMessage.TryParse(line, out var message) ? message["timestamp"] : line);
        Assert.That(written, Is.EqualTo(new[] { "2026-11-25T04:35:09.040+0530", null, "2026-11-24T23:00:00.000+0000" }));
    }

    [Test]
    public void A_person_sees_text_and_no_messages()
    {
        using var output = new StringWriter();
        var log = new BuildLog(output, forServer: false);
        using (log.Block("deploy"))
        {
            log.Warning("slow");
            log.SetParameter("a", "b");
            log.Statistic("n", 1.5);
            log.Publish("a => b");
            log.ProcessOutput("##teamcity[x]");
        }

        Assert.That(
            output.ToString(),
            Does.Contain("deploy").And.Contain("  warning: slow").And.Contain("| ##teamcity[x]").And.Not.Contain("setParameter"));
    }

    private sealed class FullDisk : TextWriter
    {
        public override System.Text.Encoding Encoding => System.Text.Encoding.UTF8;

        public override void Write(char value) => throw new IOException("No space left on device");
    }
}
