using System.Collections.Concurrent;
using System.Globalization;
using CiSteps.Fixtures;

namespace CiSteps.Hosting.Tests;

public sealed class ChildProcesses
{
    private static Task<(int Exit, string Output, string Error)> ShellAsync(
        string script, IReadOnlyDictionary<string, string?>? environment = null, CancellationToken cancel = default) =>
        ChildProcess.CaptureAsync(
            new("sh", ["-c", script], "/") { Environment = environment ?? new Dictionary<string, string?>() }, cancel);

    [Test]
    public async Task Both_streams_arrive_as_they_were_written_and_so_does_the_code()
    {
        var (exit, output, error) = await ShellAsync("echo out; echo err >&2; printf 'crlf\\r\\nlast'; exit 7");

        Assert.That((exit, output, error), Is.EqualTo((7, "out\ncrlf\r\nlast", "err\n")));
    }

    [Test]
    public async Task Much_output_on_both_streams_at_once_blocks_nobody()
    {
        var lines = new ConcurrentDictionary<bool, int>();
        var exit = await ChildProcess.RunAsync(new(
            "sh",
            ["-c", "\"$0\" print error 20000 80 & \"$0\" print output 20000 80; wait", TestStep.ProgramPath],
            "/")
        { OnLine = (_, isError) => lines.AddOrUpdate(isError, 1, (_, count) => count + 1) });

        Assert.That((exit, lines[false], lines[true]), Is.EqualTo((0, 20000, 20000)));
    }

    [Test]
    public async Task A_line_without_an_end_comes_in_pieces()
    {
        var pieces = new List<int>();
        await ChildProcess.RunAsync(new(
            "sh", ["-c", "head -c 200000 /dev/zero | tr '\\0' x"], "/")
        { OnLine = (line, _) => pieces.Add(line.Length) });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(pieces.Sum(), Is.EqualTo(200000));
            Assert.That(pieces.Max(), Is.LessThanOrEqualTo(65536));
        }
    }

    [Test]
    public async Task A_message_that_begins_where_a_long_line_is_cut_is_still_no_message()
    {
        using var output = new StringWriter();
        var log = new BuildLog(output, forServer: true);
        await ChildProcess.RunAsync(new(
            "sh",
            ["-c", "head -c 65536 /dev/zero | tr '\\0' x; echo \"##teamcity[buildStop comment='x']\""],
            "/")
        { OnLine = (line, _) => log.ProcessOutput(line) });

        Assert.That(
            output.ToString(),
            Does.Contain("##teamcity[message text='##teamcity|[buildStop").And.Not.Match(@"(?m)^\s*##teamcity\[buildStop"));
    }

    // Split in two writes, over two streams, behind a carriage return or another line end of Unicode, in a line without an end,
    // twice in one line.
    [TestCase("printf '##team'; printf \"city[buildStop comment='x']\\n\"")]
    [TestCase("printf '##team'; printf \"city[buildStop comment='x']\\n\" >&2; printf \"city[buildStop comment='x']\\n\"")]
    [TestCase("printf \"working\\r##teamcity[buildStop comment='x']\\r\\n\"")]
    [TestCase(
        "printf \"a\\302\\205##teamcity[buildStop comment='x']\\nb\\342\\200\\250##teamcity[buildStop " +
        "comment='x']\\342\\200\\251##teamcity[buildStop comment='x']\\n\"")]
    [TestCase("printf \"##teamcity[buildStop comment='x']\"")]
    [TestCase("head -c 65533 /dev/zero | tr '\\0' x; printf \"##teamcity[buildStop comment='x']\\n\"")]
    [TestCase("printf \"##teamcity[message text='a']##teamcity[buildStop comment='x']\\n\"")]
    [TestCase("printf \"\\377##teamcity[buildStop comment='x']\\000\\n\"")]
    public async Task A_child_can_give_no_orders(string script)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var log = new BuildLog(output, forServer: true);
        await ChildProcess.RunAsync(new("sh", ["-c", script], "/") { OnLine = (line, _) => log.ProcessOutput(line) });

        // However a reader breaks lines, none of them is an order.
        var lines = output.ToString().Split('\n', '\r', '\u0085', '\u2028', '\u2029', '\f', '\v', '\0');
        var messages = lines
            .Where(line => Messages.ServiceMessage.TryParse(line, out _))
            .Select(line => Messages.ServiceMessage.TryParse(line, out var message) ? message!.Name : "");
        Assert.That(messages, Has.All.EqualTo("message"));
        Assert.That(output.ToString(), Does.Not.Match(@"##teamcity\[(?!message )"));
    }

    [Test]
    public async Task Stopping_ends_the_whole_tree()
    {
        using var folder = new TestFolder();
        using var stop = new CancellationTokenSource();
        var begun = new TaskCompletionSource();
        var running = ChildProcess.RunAsync(
            new(
                "sh",
                ["-c", "sh -c 'echo $$ > grandchild; echo begun; sleep 600; true' & sleep 600 & wait"],
                folder.Path)
            { OnLine = (_, _) => begun.TrySetResult() },
            stop.Token);
        await begun.Task;

        await stop.CancelAsync();

        Assert.That(async () => await running, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(IsGone(int.Parse(File.ReadAllText(folder.Of("grandchild")), CultureInfo.InvariantCulture)), Is.True);
    }

    [Test]
    public async Task Stopping_ends_also_who_made_a_session_of_its_own_or_lost_its_parent()
    {
        using var folder = new TestFolder();
        using var stop = new CancellationTokenSource();
        var begun = new TaskCompletionSource();
        // The subshell in the middle ends at once, so that nobody's parent leads from the daemon to the child.
        const string script = "(setsid sh -c 'echo $$ > daemon; echo begun; while :; do sleep 600; done' &); wait; sleep 600";
        var running = ChildProcess.RunAsync(
            new("sh", ["-c", script], folder.Path) { OnLine = (_, _) => begun.TrySetResult() }, stop.Token);
        await begun.Task;

        await stop.CancelAsync();

        Assert.That(async () => await running, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(IsGone(int.Parse(File.ReadAllText(folder.Of("daemon")), CultureInfo.InvariantCulture)), Is.True);
    }

    [Test]
    public async Task Stopping_ends_also_what_a_step_inside_the_step_has_left()
    {
        using var folder = new TestFolder();
        using var stop = new CancellationTokenSource();
        var begun = new TaskCompletionSource();
        // As the outer step's child, this process would have its mark.
        var outer = new ProcessTree();
        var start = new System.Diagnostics.ProcessStartInfo("sleep", ["600"]);
        outer.Mark(start);
        using var child = System.Diagnostics.Process.Start(start)!;
        const string script = "(setsid sh -c 'echo $$ > daemon; echo begun; while :; do sleep 600; done' &); wait; sleep 600";
        var inner = ChildProcess.RunAsync(
            new("sh", ["-c", script], folder.Path)
            {
                Environment = start.Environment.ToDictionary(),
                OnLine = (_, _) => begun.TrySetResult()
            },
            stop.Token);
        await begun.Task;

        outer.End(child);

        Assert.That(IsGone(int.Parse(File.ReadAllText(folder.Of("daemon")), CultureInfo.InvariantCulture)), Is.True);
        await stop.CancelAsync();
        // Its own shell was marked too, and may have ended before it was stopped.
        await Task.WhenAny(inner);
    }

    [Test]
    public async Task A_child_left_behind_in_the_background_does_not_hold_the_step_up()
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var (exit, output, _) = await ShellAsync("sleep 30 & echo $!");
        var seconds = watch.Elapsed.TotalSeconds;
        using (var kill = System.Diagnostics.Process.Start("kill", output.Trim())) await kill.WaitForExitAsync();

        Assert.That(exit, Is.Zero);
        Assert.That(seconds, Is.LessThan(20));
    }

    [Test]
    public async Task Variables_are_set_and_removed()
    {
        var (_, output, _) = await ShellAsync(
            "echo \"$A-${HOME-none}\"", new Dictionary<string, string?> { ["A"] = "b c", ["HOME"] = null });

        Assert.That(output, Is.EqualTo("b c-none\n"));
    }

    [Test]
    public void What_cannot_be_started_is_usage_and_says_what_and_where()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                () => ChildProcess.CaptureAsync(new("no-such-program", [], "/")),
                Throws.TypeOf<UsageException>().With.Message.Contains("\"no-such-program\" in /"));
            Assert.That(
                () => ChildProcess.CaptureAsync(new("sh", [], "/no/such/folder")),
                Throws.TypeOf<UsageException>().With.Message.Contains("/no/such/folder"));
        }
    }

    [Test]
    public void A_failing_reader_ends_the_child_and_is_the_failure()
    {
        var running = ChildProcess.RunAsync(new("sh", ["-c", "while echo line; do :; done"], "/")
        {
            OnLine = (_, _) => throw new InvalidOperationException("full")
        });

        Assert.That(
            async () => await running.WaitAsync(TimeSpan.FromSeconds(20)),
            Throws.InvalidOperationException.With.Message.EqualTo("full"));
    }

    private static bool IsGone(int id)
    {
        // An ended process that nobody has waited for yet is gone as well.
        var status = $"/proc/{id}/stat";
        return !File.Exists(status) || File.ReadAllText(status).Split(' ')[2] == "Z";
    }

    [Test]
    public async Task Get_nothing_of_this_environment_where_they_inherit_none()
    {
        var (_, output, _) = await ChildProcess.CaptureAsync(new("env", [], "/")
        {
            Environment = new Dictionary<string, string?> { ["PATH"] = "/usr/bin:/bin", ["OWN"] = "1" },
            InheritsEnvironment = false,
        });

        Assert.That(
            output
                .Split('\n')
                .Where(line => line.Length > 0 && !line.StartsWith("CISTEPS_PROCESS_TREE=", StringComparison.Ordinal)),
            Is.EquivalentTo(new[] { "PATH=/usr/bin:/bin", "OWN=1" }));
    }

    [Test]
    public void Are_ended_with_all_that_they_started_when_their_time_is_up()
    {
        using var folder = new TestFolder();
        Assert.That(() => ChildProcess.CaptureAsync(new("sh", ["-c", "sleep 600 & echo $! > grandchild; wait"], folder.Path)
        {
            TimeLimit = TimeSpan.FromSeconds(1),
        }), Throws.TypeOf<ChildLimitException>().With.Message.EqualTo("did not end within 1s"));
        var grandchild = int.Parse(File.ReadAllText(folder.Of("grandchild")), CultureInfo.InvariantCulture);
        Assert.That(() => RunningProcess.StartOf(grandchild), Is.Null.After(5000, 20));
    }

    [Test]
    public void Are_ended_when_they_write_more_than_they_may() =>
        Assert.That(
            () => ChildProcess.CaptureAsync(new("sh", ["-c", "while echo line; do :; done"], "/") { OutputLimit = 100_000 }),
            Throws.TypeOf<ChildLimitException>().With.Message.EqualTo("wrote more than 100000 characters"));

    [Test]
    public async Task Are_asked_first_where_they_have_a_grace()
    {
        using var stop = new CancellationTokenSource();
        var said = new ConcurrentQueue<string>();
        var begun = new TaskCompletionSource();
        const string script = "trap 'echo cleaned; exit 3' TERM; echo begun; while :; do sleep 0.05; done";
        var running = ChildProcess.RunAsync(new("sh", ["-c", script], "/")
        {
            HasOwnSession = true,
            Grace = TimeSpan.FromMinutes(1),
            OnLine = (line, _) =>
            {
                said.Enqueue(line);
                begun.TrySetResult();
            },
        }, stop.Token);
        await begun.Task;
        await stop.CancelAsync();

        var stopped = await Assert.ThrowsAsync<ChildStoppedException>(() => running);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(stopped!.Exit, Is.EqualTo(3));
            Assert.That(said, Is.EqualTo(new[] { "begun", "cleaned" }));
        }
    }

    [Test]
    public async Task Are_found_by_the_search_path_that_they_get()
    {
        using var folder = new TestFolder();
        File.SetUnixFileMode(
            folder.Write("bin/tool", "#!/bin/sh\necho found\n"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        folder.Write("first/tool", "not a program");
        var environment = new Dictionary<string, string?> { ["PATH"] = "first:bin:/usr/bin:/bin" };

        var (_, output, _) = await ChildProcess.CaptureAsync(new("tool", [], folder.Path) { Environment = environment });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(output, Is.EqualTo("found\n"));
            Assert.That(ChildProcess.Find("tool", folder.Path, "first:bin"), Is.EqualTo(folder.Of("bin/tool")));
            Assert.That(ChildProcess.Find("bin/tool", folder.Path, null), Is.EqualTo(folder.Of("bin/tool")));
            Assert.That(ChildProcess.Find("tool", folder.Path, ""), Is.Null);
        }
    }

    [Test]
    public void Do_not_see_what_is_the_chains()
    {
        var environment = new Dictionary<string, string>
        {
            ["HOME"] = "/root",
            ["CISTEPS_SIGNING_KEY"] = "secret",
            ["TEAMCITY_VERSION"] = "2025",
            ["TEAMCITY_BUILD_PROPERTIES_FILE"] = "/x",
            ["TEAMCITY_OTHER"] = "1",
        };
        using (Assert.EnterMultipleScope())
        {
            Assert.That(ChildEnvironment.Whole(environment).Keys, Is.EquivalentTo(new[] { "HOME", "TEAMCITY_OTHER" }));
            Assert.That(ChildEnvironment.Removals(environment), Is.EquivalentTo(new Dictionary<string, string?>
            {
                ["CISTEPS_SIGNING_KEY"] = null,
                ["TEAMCITY_VERSION"] = null,
                ["TEAMCITY_BUILD_PROPERTIES_FILE"] = null,
            }));
        }
    }

    // In words of this product, not of the runtime: what it is, and what to do.
    [TestCase(
        "#!/nowhere/python3 -u\necho", true, "its first line names the interpreter \"/nowhere/python3\", which is not there")]
    [TestCase("#!/bin/sh\r\necho\r\n", true, "its first line names the interpreter \"/bin/sh\\r\", which is not there")]
    [TestCase("#!/bin/sh\necho", false, "is not executable; make it so (chmod +x, for git: git update-index --chmod=+x)")]
    [TestCase("MZ", true, "it is neither a program for this machine nor a script whose first line names its interpreter (#!)")]
    [TestCase("", true, "it is neither a program for this machine nor a script")]
    [TestCase(null, false, "there is no file \"")]
    [TestCase("folder", false, "is a folder")]
    public async Task What_cannot_be_started_is_one_clear_line(string? content, bool isExecutable, string says)
    {
        foreach (var endsWithThis in new[] { false, true })
        {
            using var folder = new TestFolder();
            if (content == "folder") Directory.CreateDirectory(folder.Of("tool"));
            else if (content is not null) folder.Write("tool", content);
            if (content is not null and not "folder")
                File.SetUnixFileMode(folder.Of("tool"), isExecutable ? (UnixFileMode)0b111_101_101 : (UnixFileMode)0b110_100_100);

            // Below the watch it is a shell that starts it, which says what is left in its own words.
            if (endsWithThis && says.StartsWith("it is neither", StringComparison.Ordinal)) continue;
            var failure = await Assert.ThrowsAsync<UsageException>(() =>
                ChildProcess.RunAsync(new("./tool", [], folder.Path) { EndsWithThis = endsWithThis }));

            Assert.That(failure!.Message, Does.StartWith($"cannot start \"./tool\" in {folder.Path}: ").And.Contain(says)
                .And.Not.Contain("trying to start process").And.Not.Contain('\n'));
        }
    }
}
