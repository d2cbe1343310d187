using System.Text;

namespace CiSteps.TestReports.Tests;

public sealed class XmlEdges
{
    [TestCase(
        "junit.xml",
        "<testsuites><testsuite name=\"a\"><testcase name=\"x\"/><testcase name=\"y\">",
        ReportFaultKind.Truncated,
        1)]
    [TestCase("junit.xml", "<testsuites><testsuite name=\"a\"><testcase name=\"x\"/><testca", ReportFaultKind.Truncated, 0)]
    [TestCase(
        "junit.xml", "<testsuites><testsuite name=\"a\"><testcase name=\"x\"/></testsuite>\n", ReportFaultKind.Truncated, 1)]
    [TestCase("junit.xml", "", ReportFaultKind.Truncated, 0)]
    [TestCase("junit.xml", "   \n", ReportFaultKind.Truncated, 0)]
    [TestCase("junit.xml", "<?xml version=\"1.0\"?>", ReportFaultKind.Truncated, 0)]
    [TestCase("junit.xml", "<testsuites><a></testsuites>", ReportFaultKind.Malformed, 0)]
    [TestCase("junit.xml", "<testsuites/><testsuites/>", ReportFaultKind.Malformed, 0)]
    [TestCase("junit.xml", "<project/>", ReportFaultKind.NotAReport, 0)]
    [TestCase("junit.xml", "hello", ReportFaultKind.NotAReport, 0)]
    [TestCase("run.trx", "<TestRun><Results/></TestRun>", ReportFaultKind.Truncated, 0)]
    [TestCase(
        "run.trx",
        "<TestRun><Results/><ResultSummary outcome=\"Failed\"><RunInfos><RunInfo outcome=\"Error\"><Text>The active test run " +
        "was aborted. Reason: Test host process crashed : Stack overflow.</Text></RunInfo></RunInfos></ResultSummary></TestRun>",
        ReportFaultKind.Aborted,
        0)]
    public void A_broken_report_is_a_value_with_its_kind(string name, string text, ReportFaultKind kind, int cases)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        var report = ReportReader.Read(stream, ReportFormat.Auto, name);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault?.Kind, Is.EqualTo(kind), report.Fault?.Text);
            Assert.That(report.Fault?.Text, Does.Contain($"\"{name}\""));
            Assert.That(report.Cases, Has.Count.EqualTo(cases));
        }
    }

    [Test]
    public void Every_cut_of_a_real_report_is_truncated_and_never_an_exception(
        [Values("node.junit.xml", "nunit.trx", "nunit3.xml", "xunit2.xml")] string file)
    {
        var whole = File.ReadAllText(Sample.PathOf(file)).Trim('\ufeff', '\r', '\n', ' ');

        for (var length = 0; length < whole.Length; length += 41)
            Assert.That(
                Sample.Text(whole[..length]).Fault?.Kind,
                Is.EqualTo(ReportFaultKind.Truncated),
                $"cut after {length} characters");
    }

    [Test]
    public void Damaged_reports_never_throw(
        [Values("node.junit.xml", "nunit.trx", "nunit3.xml", "xunit2.xml", "pytest.xml", "node.tap", "go.json")] string file)
    {
        var whole = File.ReadAllBytes(Sample.PathOf(file));
        var random = new Random(11);
        for (var round = 0; round < 200; round++)
        {
            var bytes = whole.ToArray();
            for (var change = 0; change < 1 + round % 5; change++)
            {
                var at = random.Next(bytes.Length);
                if (round % 2 == 0) bytes[at] = (byte)random.Next(256);
                else Array.Copy(whole, random.Next(whole.Length - 20), bytes, Math.Min(at, bytes.Length - 20), 20);
            }
            using var stream = new MemoryStream(bytes);
            var report = ReportReader.Read(stream, ReportFormat.Auto, file);
            Assert.That(TestVerdict.Of(0, [report]).Text, Is.Not.Empty);
        }
    }

    [Test]
    public void The_wrong_format_says_which_it_is_and_which_was_expected()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                Sample.File("gtest.xml", ReportFormat.Trx).Fault?.Text,
                Does.Contain("is a junit report, the configuration says trx"));
            Assert.That(
                Sample.File("gtest.xml", ReportFormat.Tap).Fault?.Text,
                Does.Contain("is a junit report, the configuration says tap"));
            Assert.That(
                Sample.File("node.tap", ReportFormat.JUnit).Fault?.Text, Does.Contain("no test report in the format junit"));
            Assert.That(ReportReader.ReadFile("/no/such/file.xml").Fault?.Kind, Is.EqualTo(ReportFaultKind.Unreadable));
        }
    }

    [Test]
    public void Control_characters_and_document_types_do_no_harm()
    {
        var colours = Sample.Text(
            "<testsuite><testcase name=\"a\"><system-out>\u001b[31mred\u001b[0m \u0000 &#27; " +
            "😀</system-out></testcase></testsuite>");
        var bomb = Sample.Text(
            "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;\">]><testsuite><testcase " +
            "name=\"a\"><system-out>&y;</system-out></testcase></testsuite>");
        var secret = Sample.Text(
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><testsuite><testcase " +
            "name=\"a\"><system-out>&x;</system-out></testcase></testsuite>");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(colours.Fault, Is.Null);
            Assert.That(colours.Cases[0].Output, Does.Contain("red").And.Contain("😀"));
            Assert.That(bomb.Fault?.Kind, Is.EqualTo(ReportFaultKind.Malformed));
            Assert.That(secret.Fault?.Kind, Is.EqualTo(ReportFaultKind.Malformed));
        }
    }

    [TestCase("utf-8", true)]
    [TestCase("utf-8", false)]
    [TestCase("utf-16", true)]
    [TestCase("iso-8859-1", false)]
    [TestCase("windows-1252", false)]
    public void Encodings_are_read_as_declared_or_marked(string name, bool marked)
    {
        var encoding = CodePagesEncodingProvider.Instance.GetEncoding(name) ?? Encoding.GetEncoding(name);
        var text = $"<?xml version=\"1.0\" encoding=\"{name}\"?><testsuite><testcase name=\"größer als §3\"/></testsuite>";
        using var stream = new MemoryStream([.. marked ? encoding.GetPreamble() : [], .. encoding.GetBytes(text)]);

        Assert.That(ReportReader.Read(stream, ReportFormat.Auto, "r.xml").Cases.Single().Name, Is.EqualTo("größer als §3"));
    }

    [Test]
    public void Surefire_reruns_are_flaky_or_counted()
    {
        var report = Sample.Text("""
            <testsuite name="shop.CalcTest" tests="3" failures="1" time="1,234.5">
              <testcase classname="shop.CalcTest" name="adds" time="1,234.5"/>
              <testcase classname="shop.CalcTest" name="divides" time="0.5">
                <flakyFailure message="timed out" type="java.lang.AssertionError">
                  <stackTrace>at shop.CalcTest</stackTrace><system-out>first try</system-out></flakyFailure>
              </testcase>
              <testcase classname="shop.CalcTest" name="roots"><failure message="no" type="E">trace</failure>
                <rerunFailure message="no again"/></testcase>
            </testsuite>
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("adds").Duration, Is.EqualTo(TimeSpan.FromSeconds(1234.5)));
            Assert.That(report.Case("divides").IsFlaky, Is.True);
            Assert.That(report.Case("divides").Outcome, Is.EqualTo(TestOutcome.Passed));
            Assert.That(report.Case("divides").Details, Does.Contain("at shop.CalcTest"));
            Assert.That((report.Case("roots").Outcome, report.Case("roots").Attempts), Is.EqualTo((TestOutcome.Failed, 2)));
        }
    }

    [Test]
    public void A_suite_that_counts_errors_without_showing_them_is_not_green()
    {
        var report = Sample.Text(
            "<testsuites><testsuite name=\"a\" tests=\"0\" errors=\"1\"><system-err>no class " +
            "def</system-err></testsuite><testsuite name=\"b\" tests=\"1\"><testcase name=\"x\"/></testsuite></testsuites>");

        using (Assert.EnterMultipleScope())
        {
            Assert.That((report.Passed, report.Failed), Is.EqualTo((1, 1)));
            Assert.That(report.Cases[0].ErrorOutput, Is.EqualTo("no class def"));
        }
    }

    [TestCase("<testsuite name=\"a\"><testcase name=\"x\"/><error message=\"no set-up\"/></testsuite>")]
    [TestCase(
        "<testsuites><testsuite name=\"a\"><failure message=\"no set-up\"/><testcase name=\"x\"/></testsuite></testsuites>")]
    public void A_suites_own_failure_is_a_failed_test(string text)
    {
        var report = Sample.Text(text);

        Assert.That((report.Passed, report.Failing.Single().Message), Is.EqualTo((1, "no set-up")));
    }

    [TestCase("<testsuite name=\"a\" tests=\"3\"><testcase name=\"x\"/></testsuite>", false)]
    [TestCase("<testsuites tests=\"2\"><testsuite><testcase name=\"x\"/></testsuite></testsuites>", false)]
    [TestCase(
        "<testsuites><testsuite tests=\"2\" skipped=\"1\"><testcase name=\"x\"><skipped/></testcase></testsuite></testsuites>",
        false)]
    [TestCase("<testsuites tests=\"1\"><testsuite tests=\"1\"><testcase name=\"x\"/></testsuite></testsuites>", true)]
    [TestCase(
        "<testsuite tests=\"2\"><testsuite tests=\"2\"><testcase name=\"x\"/><testcase name=\"y\"/></testsuite></testsuite>",
        true)]
    [TestCase("<testsuite tests=\"1\"><testcase name=\"x\"/><testcase name=\"y\"/></testsuite>", true)]
    [TestCase("<testsuite tests=\"2\" skipped=\"1\"><testcase name=\"x\"/></testsuite>", true)]
    [TestCase("<testsuite tests=\"2\"><testcase name=\"x\"><flakyFailure/></testcase></testsuite>", true)]
    [TestCase("<testsuite tests=\"2\" errors=\"1\"><testcase name=\"x\"><error/></testcase></testsuite>", true)]
    [TestCase("<testsuite tests=\"9\" hostname=\"tbd\"><testcase name=\"x\"/></testsuite>", true)]
    [TestCase("<testsuite tests=\"9\"><testcase name=\"x\" status=\"run\"/></testsuite>", true)]
    public void Fewer_tests_than_a_suite_counts_are_a_mismatch(string text, bool isWhole) =>
        Assert.That(Sample.Text(text).Fault?.Kind, Is.EqualTo(isWhole ? null : (ReportFaultKind?)ReportFaultKind.PlanMismatch));

    [TestCase("errors=\"1\" failures=\"0\"")]
    [TestCase("errors=\"0\" failures=\"1\"")]
    public void Failures_that_NUnit_2_counts_and_does_not_show_are_a_mismatch(string counts)
    {
        var report = Sample.Text(
            $"<test-results name=\"a\" {counts}><test-suite><results><test-case name=\"A.x\" result=\"Success\"/>" +
                "</results></test-suite></test-results>");

        Assert.That(report.Fault?.Kind, Is.EqualTo(ReportFaultKind.PlanMismatch));
    }

    [TestCase("testsuite", "testsuite")]
    [TestCase("test-run", "test-suite")]
    public void Suites_nested_without_end_are_refused(string root, string inner)
    {
        var report = Sample.Text($"<{root}>{string.Concat(Enumerable.Repeat($"<{inner}>", 20_000))}" +
            $"{string.Concat(Enumerable.Repeat($"</{inner}>", 20_000))}</{root}>");

        Assert.That(report.Fault?.Text, Does.Contain("nested more than"));
    }

    [Test]
    public void NUnit_2_reports_are_read()
    {
        var report = Sample.Text("""
            <test-results name="shop.dll" total="3" failures="1"><test-suite type="Assembly" name="shop.dll"><results>
              <test-suite type="TestFixture" name="CalcTests"><results>
                <test-case name="Shop.CalcTests.Adds(1.5, &quot;a.b&quot;)"
                  executed="True" result="Success" success="True" time="0.013" asserts="1"/>
                <test-case name="Shop.CalcTests.Divides" executed="True" result="Failure" success="False" time="0.1">
                  <failure><message><![CDATA[3 is not 4]]></message><stack-trace>at X</stack-trace></failure></test-case>
                <test-case name="Shop.CalcTests.Later" executed="False" result="Ignored">
                  <reason><message>not yet</message></reason></test-case>
              </results></test-suite>
            </results></test-suite></test-results>
            """);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Format, Is.EqualTo(ReportFormat.NUnit));
            Assert.That(report.Cases.Select(test => (test.ClassName, test.Name, test.Outcome)), Is.EqualTo(new[]
            {
                ("Shop.CalcTests", "Adds(1.5, \"a.b\")", TestOutcome.Passed), ("Shop.CalcTests", "Divides", TestOutcome.Failed),
                ("Shop.CalcTests", "Later", TestOutcome.Skipped),
            }));
            Assert.That(report.Cases[2].SkipReason, Is.EqualTo("not yet"));
        }
    }

    [Test]
    public void Data_driven_results_in_trx_are_the_rows_and_not_their_sum()
    {
        var report = Sample.Text("""
            <TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"><Results>
              <UnitTestResult testId="1" testName="Roots" outcome="Failed"><InnerResults>
                <UnitTestResult testId="1" testName="Roots (Data Row 0)" outcome="Passed"/>
                <UnitTestResult testId="1" testName="Roots (Data Row 1)" outcome="Timeout">
                  <Output><ErrorInfo><Message>too slow</Message></ErrorInfo></Output></UnitTestResult>
              </InnerResults></UnitTestResult></Results>
              <TestDefinitions><UnitTest id="1" name="Roots">
                <TestMethod className="Shop.Calc, shop, Version=1.0" name="Roots"/></UnitTest></TestDefinitions>
              <ResultSummary outcome="Failed"/></TestRun>
            """);

        Assert.That(
            report.Cases.Select(test => (test.FullName, test.Outcome)),
            Is.EqualTo(
                new[]
                {
                    ("Shop.Calc.Roots (Data Row 0)", TestOutcome.Passed),
                    ("Shop.Calc.Roots (Data Row 1)", TestOutcome.Error)
                }));
    }
}
