using System.Net.Sockets;
using CiSteps.Fixtures;

namespace CiSteps.TestReports.Tests;

public sealed class Files
{
    private const string Report = "<testsuite><testcase name=\"a\"/></testsuite>";

    [TestCase("**/TEST-*.xml", "a/TEST-1.xml,a/b/TEST-2.xml")]
    [TestCase("a/*.xml", "a/TEST-1.xml,a/x.xml")]
    [TestCase("a/**", "a/TEST-1.xml,a/b/TEST-2.xml,a/x.xml")]
    [TestCase("a/b/TEST-2.xml", "a/b/TEST-2.xml")]
    [TestCase("a/TEST-?.xml", "a/TEST-1.xml")]
    [TestCase("{a,a/b}/TEST-*.xml", "a/TEST-1.xml,a/b/TEST-2.xml")]
    [TestCase("linked/*.xml", "linked/TEST-1.xml,linked/x.xml")]
    [TestCase("l*/*.xml", "")]
    [TestCase("none/*.xml", "")]
    [TestCase("*.xml", "top.xml")]
    public void Globs_find_what_they_name(string glob, string expected)
    {
        using var folder = new TestFolder();
        foreach (var file in new[]
        {
            "a/TEST-1.xml",
            "a/b/TEST-2.xml",
            "a/x.xml",
            "top.xml",
            ".git/TEST-3.xml",
            ".ci-steps/TEST-4.xml"
        })
            folder.Write(file, Report);
        Directory.CreateSymbolicLink(folder.Of("a/circle"), folder.Path);
        Directory.CreateSymbolicLink(folder.Of("linked"), folder.Of("a"));

        Assert.That(string.Join(',', new ReportFiles(folder.Path, [glob]).Find()), Is.EqualTo(expected));
    }

    [Test]
    public void Several_globs_are_one_list_in_which_the_last_that_matches_decides()
    {
        using var folder = new TestFolder();
        foreach (var file in new[] { "a/1.xml", "a/old/2.xml" }) folder.Write(file, Report);

        var files = new ReportFiles(folder.Path, ["a/**", "!a/old/**"]);

        Assert.Multiple(() =>
        {
            Assert.That(files.Find(), Is.EqualTo(new[] { "a/1.xml" }));
            Assert.That(files.Matches("a/old/2.xml"), Is.False);
        });
    }

    [Test]
    public async Task A_named_pipe_is_refused_by_that_name_and_is_never_opened()
    {
        using var folder = new TestFolder();
        using var making = System.Diagnostics.Process.Start("mkfifo", folder.Of("r.xml"));
        await making.WaitForExitAsync();
        var files = new ReportFiles(folder.Path, ["*.xml"]);

        // A limit of its own: opened, the pipe would hold the test for ever.
        var report = await Task.Run(() => files.Read(ReportFormat.Auto, null).Single()).WaitAsync(TimeSpan.FromSeconds(30));
        var deleted = await Task.Run(() => files.DeleteLeftovers(_ => false)).WaitAsync(TimeSpan.FromSeconds(30));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Text, Does.StartWith("\"r.xml\" is a named pipe, not a file"));
            Assert.That(deleted, Is.EqualTo(new[] { "r.xml" }));
        }
    }

    [Test]
    public async Task A_link_to_a_device_is_refused_and_never_read()
    {
        using var folder = new TestFolder();
        File.CreateSymbolicLink(folder.Of("r.xml"), "/dev/zero");
        var files = new ReportFiles(folder.Path, ["*.xml"]);

        var report = await Task.Run(() => files.Read(ReportFormat.Auto, null).Single()).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.That(report.Fault?.Text, Does.StartWith("\"r.xml\" is a device, not a file"));
    }

    [Test]
    public void A_socket_is_refused_by_that_name()
    {
        using var folder = new TestFolder();
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(folder.Of("r.xml")));

        var report = new ReportFiles(folder.Path, ["*.xml"]).Read(ReportFormat.Auto, null).Single();

        Assert.That(report.Fault?.Text, Does.StartWith("\"r.xml\" is a socket, not a file"));
    }

    [Test]
    public async Task A_report_that_somebody_writes_on_and_on_is_read_to_where_it_was()
    {
        using var folder = new TestFolder();
        var path = folder.Write("r.tap", "1..1\nok 1 - a\n" + string.Concat(Enumerable.Repeat("# more and more\n", 200_000)));
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var isWriting = new ManualResetEventSlim();
        var writing = Task.Run(() =>
        {
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            while (!stop.IsCancellationRequested)
            {
                file.Write("# more and more\n"u8);
                isWriting.Set();
            }
        });
        isWriting.Wait(TimeSpan.FromSeconds(30));

        var report = await Task.Run(() => new ReportFiles(folder.Path, ["*.tap"]).Read(ReportFormat.Auto, null).Single())
            .WaitAsync(TimeSpan.FromSeconds(50));
        await stop.CancelAsync();
        await writing;

        Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
        Assert.That(report.Fault?.Text, Does.StartWith("\"r.tap\" is still being written"));
    }

    [Test]
    public void What_is_written_behind_the_end_that_a_file_had_is_not_read()
    {
        using var folder = new TestFolder();
        var path = folder.Write("r.tap", "1..1\n");
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var asItWas = new AsItWas(file);
        File.AppendAllText(path, "ok 1 - a\n");

        using var reader = new StreamReader(asItWas);

        Assert.That((reader.ReadToEnd(), asItWas.Length), Is.EqualTo(("1..1\n", 5)));
    }

    [Test]
    public void A_report_of_more_than_four_gigabytes_is_refused_unread()
    {
        using var folder = new TestFolder();
        using (var file = File.Create(folder.Of("r.xml"))) file.SetLength((4L << 30) + 1);

        var report = new ReportFiles(folder.Path, ["*.xml"]).Read(ReportFormat.Auto, null).Single();

        Assert.That(report.Fault?.Text, Does.Contain("more than the 4096 MiB that are read of one report"));
    }

    // Written within the same two seconds as the run began: which of both was first is seen all the same.
    [TestCase("soft link")]
    [TestCase("hard link")]
    [TestCase("moved")]
    [TestCase("copied with its time")]
    public void A_report_that_was_written_just_before_the_run_is_stale_however_it_came_there(string how)
    {
        using var folder = new TestFolder();
        folder.Write("old.txt", Report);
        var files = new ReportFiles(folder.Path, ["*.xml"]);
        var start = files.Begin();
        File.SetLastWriteTimeUtc(folder.Of("old.txt"), start.Time.UtcDateTime.AddMilliseconds(-1) is var time
            && time.Ticks % TimeSpan.TicksPerSecond == 0 ? time.AddMilliseconds(-1) : time);
        switch (how)
        {
            case "soft link": File.CreateSymbolicLink(folder.Of("r.xml"), folder.Of("old.txt")); break;
            case "hard link": Link(folder.Of("old.txt"), folder.Of("r.xml")); break;
            case "moved": File.Move(folder.Of("old.txt"), folder.Of("r.xml")); break;
            default:
                File.Copy(folder.Of("old.txt"), folder.Of("r.xml"));
                File.SetLastWriteTimeUtc(folder.Of("r.xml"), File.GetLastWriteTimeUtc(folder.Of("old.txt"))); break;
        }

        Assert.That(files.Read(ReportFormat.Auto, start).Single().Fault?.Kind, Is.EqualTo(ReportFaultKind.Stale));
    }

    // An archive, or docker cp, keeps whole seconds.
    [TestCase(false, null)]
    [TestCase(true, ReportFaultKind.Stale)]
    public void A_time_of_whole_seconds_may_have_been_cut_off_unless_it_is_behind_a_link(bool isLink, ReportFaultKind? fault)
    {
        using var folder = new TestFolder();
        var files = new ReportFiles(folder.Path, ["*.xml"]);
        var start = files.Begin();
        var path = folder.Write(isLink ? "report.txt" : "r.xml", Report);
        // Of a start in the first instant of a second nothing is cut off.
        start = start with { Time = new DateTimeOffset(2026, 1, 1, 0, 0, 1, 500, TimeSpan.Zero) };
        File.SetLastWriteTimeUtc(path, new DateTime(2026, 1, 1, 0, 0, 1, DateTimeKind.Utc));
        if (isLink) File.CreateSymbolicLink(folder.Of("r.xml"), path);

        Assert.That(files.Read(ReportFormat.Auto, start).Single().Fault?.Kind, Is.EqualTo(fault));
    }

    [Test]
    public void A_report_that_was_there_before_and_that_nobody_wrote_since_is_stale_whatever_its_time_is()
    {
        using var folder = new TestFolder();
        folder.Write("r.xml", Report);
        File.SetLastWriteTimeUtc(folder.Of("r.xml"), DateTime.UtcNow.AddHours(1));
        var files = new ReportFiles(folder.Path, ["*.xml"]);

        var start = files.Begin();

        Assert.That(files.Read(ReportFormat.Auto, start).Single().Fault?.Kind, Is.EqualTo(ReportFaultKind.Stale));
    }

    [Test]
    public void A_new_link_to_an_old_report_is_stale([Values] bool isHard)
    {
        using var folder = new TestFolder();
        var files = new ReportFiles(folder.Path, ["*.xml"]);
        folder.Write("old.txt", Report);
        File.SetLastWriteTimeUtc(folder.Of("old.txt"), DateTime.UtcNow.AddMinutes(-1));
        var start = files.Begin();
        if (isHard) Link(folder.Of("old.txt"), folder.Of("r.xml"));
        else File.CreateSymbolicLink(folder.Of("r.xml"), folder.Of("old.txt"));

        Assert.That(files.Read(ReportFormat.Auto, start).Single().Fault?.Kind,
            Is.EqualTo(ReportFaultKind.Stale));
    }

    private static void Link(string from, string to)
    {
        using var linking = System.Diagnostics.Process.Start("ln", [from, to]);
        linking.WaitForExit();
    }

    [TestCase(
        "r.xml",
        "<testsuite name=\"{0}/api\"><testcase classname=\"{0}/api/a.mjs\" name=\"loads file://{0}/api/a.mjs\" " +
        "file=\"{0}/api/a.mjs\"/></testsuite>")]
    [TestCase("r.tap", "TAP version 13\n# Subtest: {0}/api/a.mjs\nok 1 - {0}/api/a.mjs\n1..1\n")]
    public void The_work_trees_path_is_in_no_name(string name, string text)
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder.Of(name), text.Replace("{0}", folder.Path, StringComparison.Ordinal));

        var test = new ReportFiles(folder.Path, [name]).Read(ReportFormat.Auto, null).Single().Cases.Single();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(test.Identity, Does.Not.Contain(folder.Path).And.Contain("api/a.mjs"));
            Assert.That(test.File, Is.Null.Or.EqualTo("api/a.mjs"));
        }
    }

    [Test]
    public void Only_reports_are_deleted_and_none_that_is_to_be_kept()
    {
        using var folder = new TestFolder();
        folder.Write("old.xml", Report);
        folder.Write("kept.xml", Report);
        folder.Write("pom.xml", "<project/>");
        folder.Write("empty.xml", "");

        var deleted = new ReportFiles(folder.Path, ["*.xml"]).DeleteLeftovers(path => path == "kept.xml");

        Assert.That(deleted, Is.EqualTo(new[] { "empty.xml", "old.xml" }));
    }

    [Test]
    public void A_report_older_than_the_start_is_stale_whatever_it_says()
    {
        using var folder = new TestFolder();
        var files = new ReportFiles(folder.Path, ["*.xml"]);
        var start = files.Begin();
        File.SetLastWriteTimeUtc(folder.Write("old.xml", Report), start.Time.UtcDateTime.AddMinutes(-1));
        folder.Write("new.xml", Report);

        var reports = files.Read(ReportFormat.Auto, start);

        Assert.That(
            reports.Select(report => report.Fault?.Kind), Is.EqualTo(new ReportFaultKind?[] { null, ReportFaultKind.Stale }));
    }
}
