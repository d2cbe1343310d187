using System.Text;
using CiSteps.Fixtures;

namespace CiSteps.TestReports.Tests;

/// <summary>Reports far larger than what is kept in memory.</summary>
public sealed class LargeReports
{
    private const int Few = 200;
    private const int Many = 40_000;

    [Test]
    public void Are_read_judged_and_written_in_little_memory()
    {
        var little = Peak(tests: 64, outputPerTest: 1024 * 1024);
        var many = Peak(tests: Many, outputPerTest: 1500);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(little, Is.LessThan(60L << 20));
            Assert.That(many, Is.LessThan(60L << 20));
        }
    }

    [Test]
    public void Keep_every_test_as_small_ones_do()
    {
        var small = Read(tests: Few, outputPerTest: 10);
        var large = Read(tests: Many, outputPerTest: 1500);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                (large.Fault, large.Passed, large.Failed, large.Skipped),
                Is.EqualTo(((ReportFault?)null, Many * 6 / 8, Many / 8, Many / 8)));
            // Records compare their lists by reference.
            foreach (var (one, other) in small.Cases.Zip(large.Cases))
                Assert.That(other with { Suites = one.Suites, Output = one.Output }, Is.EqualTo(one));
            Assert.That(large.Cases[Many - 1].Name, Is.EqualTo($"t{Many - 1}"));
            Assert.That(large.Cases[7].Suites, Is.EqualTo(new[] { "s" }));
            Assert.That(large.Cases[0].Output, Has.Length.EqualTo(1500));
        }
    }

    [Test]
    public void Have_their_failures_replaced_without_touching_the_original([Values(Few, Many)] int tests)
    {
        var report = Read(tests, outputPerTest: 1500);
        var changed = report.WithFailures(
            test => test.Name == "t3"
                ? test with { Outcome = TestOutcome.Passed, IsFlaky = true }
                : test with { Tolerated = "known" });

        using (Assert.EnterMultipleScope())
        {
            Assert.That((changed.Failed, changed.Flaky, changed.Totals.Tolerated), Is.EqualTo((0, 1, (tests / 8) - 1)));
            Assert.That((report.Failed, report.Flaky), Is.EqualTo((tests / 8, 0)));
            Assert.That(changed.Cases[3].IsFlaky, Is.True);
            Assert.That(report.Cases[3].IsFlaky, Is.False);
            Assert.That(changed.Notable.Count(), Is.EqualTo(tests / 8));
        }
    }

    [Test]
    public void Leave_no_file_behind()
    {
        // Of its own: other processes of these tests have files in the shared one meanwhile.
        using var folder = new TestFolder();
        var before = Environment.GetEnvironmentVariable("TMPDIR");
        Environment.SetEnvironmentVariable("TMPDIR", folder.Path);
        try
        {
            var report = Read(Many, outputPerTest: 1500);

            Assert.That(report.Cases, Has.Count.EqualTo(Many));
            Assert.That(
                Directory
                    .GetFiles("/proc/self/fd")
                    .Where(file => new FileInfo(file).LinkTarget?.StartsWith(folder.Path, StringComparison.Ordinal) is true),
                Is.Not.Empty,
                "it is on the disk, not in memory");
            Assert.That(Directory.GetFileSystemEntries(folder.Path), Is.Empty);
            GC.KeepAlive(report);
        }
        finally
        {
            Environment.SetEnvironmentVariable("TMPDIR", before);
        }
    }

    private static TestReport Read(int tests, int outputPerTest)
    {
        using var stream = new GeneratedReport(tests, outputPerTest);
        return ReportReader.Read(stream, ReportFormat.Auto, "large.xml");
    }

    // How much more memory is in use while the whole way of a report is gone through.
    private static long Peak(int tests, int outputPerTest)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var report = Read(tests, outputPerTest);
        var run = new FinishedRun("api", "", report, TestVerdict.Of(1, [report]), TimeSpan.Zero);
        JUnitWriter.Write(Stream.Null, [run]);
        ResultsJson.Write(Stream.Null, [run]);
        var messages = TestMessages.Of(run).Count();
        var after = GC.GetTotalMemory(forceFullCollection: true);
        Assert.That(messages, Is.GreaterThan(tests));
        GC.KeepAlive(run);
        return after - before;
    }

    /// <summary>A report that is made while it is read; of every eight tests the fourth fails and the sixth is skipped.</summary>
    private sealed class GeneratedReport(int tests, int outputPerTest) : Stream
    {
        private static readonly byte[] Start = Encoding.UTF8.GetBytes("<testsuites><testsuite name=\"s\">");
        private readonly string output = new('x', outputPerTest);
        private byte[] part = Start;
        private int at;
        private int written;

        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set
            {
                Assert.That(value, Is.Zero);
                (part, at, written) = (Start, 0, 0);
            }
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (at == part.Length)
            {
                if (written > tests) return 0;
                var more = (written % 8) switch
                {
                    3 => "<failure message=\"no\">at x</failure>",
                    5 => "<skipped message=\"later\"/>",
                    _ => "",
                };
                part = Encoding.UTF8.GetBytes(written == tests ? "</testsuite></testsuites>"
                    : $"<testcase classname=\"shop.Calc\" name=\"t{written}\" " +
                        $"time=\"0.1\">{more}<system-out>{output}</system-out></testcase>");
                at = 0;
                written++;
            }
            var length = Math.Min(count, part.Length - at);
            Array.Copy(part, at, buffer, offset, length);
            at += length;
            return length;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
