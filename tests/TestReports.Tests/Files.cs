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
        foreach (var file in new[] { "a/TEST-1.xml", "a/b/TEST-2.xml", "a/x.xml", "top.xml", ".git/TEST-3.xml", ".ci-steps/TEST-4.xml" }) folder.Write(file, Report);
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
    public async Task A_named_pipe_is_an_empty_report_and_is_never_opened()
    {
        using var folder = new TestFolder();
        using var making = System.Diagnostics.Process.Start("mkfifo", folder.Of("r.xml"));
        await making.WaitForExitAsync();
        var files = new ReportFiles(folder.Path, ["*.xml"]);

        // A limit of its own: opened, the pipe would hold the test for ever.
        var report = await Task.Run(() => files.Read(ReportFormat.Auto, DateTimeOffset.UnixEpoch).Single()).WaitAsync(TimeSpan.FromSeconds(30));
        var deleted = await Task.Run(() => files.DeleteLeftovers(_ => false)).WaitAsync(TimeSpan.FromSeconds(30));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
            Assert.That(deleted, Is.EqualTo(new[] { "r.xml" }));
        }
    }

    [Test]
    public async Task A_link_to_a_device_is_refused_and_never_read()
    {
        using var folder = new TestFolder();
        File.CreateSymbolicLink(folder.Of("r.xml"), "/dev/zero");
        var files = new ReportFiles(folder.Path, ["*.xml"]);

        var report = await Task.Run(() => files.Read(ReportFormat.Auto, DateTimeOffset.UnixEpoch).Single()).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.Truncated));
    }

    [Test]
    public void A_new_link_to_an_old_report_is_stale([Values] bool isHard)
    {
        using var folder = new TestFolder();
        var began = DateTimeOffset.UtcNow;
        folder.Write("old.txt", Report);
        File.SetLastWriteTimeUtc(folder.Of("old.txt"), began.UtcDateTime.AddMinutes(-1));
        if (isHard) Link(folder.Of("old.txt"), folder.Of("r.xml"));
        else File.CreateSymbolicLink(folder.Of("r.xml"), folder.Of("old.txt"));

        Assert.That(new ReportFiles(folder.Path, ["*.xml"]).Read(ReportFormat.Auto, began).Single().Fault?.Kind,
            Is.EqualTo(ReportFaultKind.Stale));
    }

    private static void Link(string from, string to)
    {
        using var linking = System.Diagnostics.Process.Start("ln", [from, to]);
        linking.WaitForExit();
    }

    [TestCase("r.xml", "<testsuite name=\"{0}/api\"><testcase classname=\"{0}/api/a.mjs\" name=\"loads file://{0}/api/a.mjs\" file=\"{0}/api/a.mjs\"/></testsuite>")]
    [TestCase("r.tap", "TAP version 13\n# Subtest: {0}/api/a.mjs\nok 1 - {0}/api/a.mjs\n1..1\n")]
    public void The_work_trees_path_is_in_no_name(string name, string text)
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder.Of(name), text.Replace("{0}", folder.Path, StringComparison.Ordinal));

        var test = new ReportFiles(folder.Path, [name]).Read(ReportFormat.Auto, DateTimeOffset.UnixEpoch).Single().Cases.Single();

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
        var started = DateTimeOffset.UtcNow;
        File.SetLastWriteTimeUtc(folder.Write("old.xml", Report), started.UtcDateTime.AddMinutes(-1));
        folder.Write("new.xml", Report);

        var reports = new ReportFiles(folder.Path, ["*.xml"]).Read(ReportFormat.Auto, started);

        Assert.That(reports.Select(report => report.Fault?.Kind), Is.EqualTo(new ReportFaultKind?[] { null, ReportFaultKind.Stale }));
    }
}
