namespace CiSteps.TestReports.Tests;

/// <summary>What real runners write; <c>Samples/README.md</c> says which.</summary>
public sealed class RealReports
{
    [TestCase("node.tap", ReportFormat.Tap, 3, 1, 2)]
    [TestCase("node.junit.xml", ReportFormat.JUnit, 3, 1, 2)]
    [TestCase("jest.xml", ReportFormat.JUnit, 4, 1, 1)]
    [TestCase("pytest.xml", ReportFormat.JUnit, 2, 3, 2)]
    [TestCase("gtest.xml", ReportFormat.JUnit, 2, 2, 2)]
    [TestCase("nunit.trx", ReportFormat.Trx, 4, 3, 2)]
    [TestCase("nunit3.xml", ReportFormat.NUnit, 4, 4, 2)]
    [TestCase("xunit.trx", ReportFormat.Trx, 3, 2, 1)]
    [TestCase("xunit2.xml", ReportFormat.Xunit, 3, 2, 1)]
    [TestCase("xunit.junit.xml", ReportFormat.JUnit, 3, 2, 1)]
    [TestCase("go.json", ReportFormat.GoJson, 4, 3, 1)]
    [TestCase("junit5.xml", ReportFormat.JUnit, 5, 5, 2)]
    // Its reporter writes a todo like a test that passed.
    [TestCase("jest-names.xml", ReportFormat.JUnit, 4, 10, 0)]
    [TestCase("vitest.xml", ReportFormat.JUnit, 3, 10, 1)]
    [TestCase("mocha.xml", ReportFormat.JUnit, 2, 9, 1)]
    [TestCase("gtest-names.xml", ReportFormat.JUnit, 3, 4, 2)]
    [TestCase("perl.tap", ReportFormat.Tap, 2, 2, 2)]
    public void Are_told_apart_and_counted(string file, ReportFormat format, int passed, int failed, int skipped)
    {
        var report = Sample.File(file);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Fault, Is.Null);
            Assert.That(report.Format, Is.EqualTo(format));
            Assert.That((report.Passed, report.Failed, report.Skipped), Is.EqualTo((passed, failed, skipped)));
            Assert.That(ReportReader.LooksLikeReport(Sample.PathOf(file)), Is.True);
            Assert.That(Sample.File(file, format).Cases, Has.Count.EqualTo(report.Cases.Count));
        }
    }

    [Test]
    public void Nodes_nested_suites_and_reasons_are_kept_in_both_of_its_formats(
        [Values("node.tap", "node.junit.xml")] string file)
    {
        var report = Sample.File(file);
        var root = report.Case("takes the square root");
        var failed = report.Case("divides [by zero]");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(root.Suites, Is.EqualTo(new[] { "calculator", "roots" }));
            Assert.That(root.FullName, Is.EqualTo("takes the square root"));
            Assert.That(failed.Message, Is.EqualTo("Infinity == 0"));
            Assert.That(failed.Details, Does.Contain("calc.test.mjs:5:40"));
            Assert.That(failed.Duration, Is.GreaterThan(TimeSpan.Zero).And.LessThan(TimeSpan.FromMilliseconds(2)));
            Assert.That(report.Case("skips the cube root").SkipReason, Is.EqualTo("not supported | here"));
            Assert.That(report.Case("is not written yet").Outcome, Is.EqualTo(TestOutcome.Skipped));
            Assert.That(report.Case("is not written yet").SkipReason, Does.EndWith("later"));
            Assert.That(report.Case("top level with output").Suites, Is.Empty);
        }
    }

    [Test]
    public void Pytest_errors_of_fixtures_are_errors_and_expected_failures_are_skipped()
    {
        var report = Sample.File("pytest.xml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("test_next[2-4]").Outcome, Is.EqualTo(TestOutcome.Failed));
            Assert.That(report.Case("test_next[2-4]").FullName, Is.EqualTo("test_calc.TestCalculator.test_next[2-4]"));
            Assert.That(report.Case("test_with_setup").Outcome, Is.EqualTo(TestOutcome.Error));
            Assert.That(report.Case("test_with_setup").Message, Is.EqualTo("failed on setup with \"RuntimeError: no database\""));
            Assert.That(report.Case("test_known").SkipReason, Is.EqualTo("known"));
            Assert.That(report.Case("test_books").SkipReason, Is.EqualTo("no ledger"));
        }
    }

    [Test]
    public void GoogleTest_keeps_every_failure_of_a_test_and_skips_what_is_disabled()
    {
        var report = Sample.File("gtest.xml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("Divides").Message, Does.EndWith("first"));
            Assert.That(report.Case("Divides").Details, Does.Contain("first").And.Contain("second"));
            Assert.That(report.Case("DISABLED_Later").Outcome, Is.EqualTo(TestOutcome.Skipped));
            Assert.That(report.Case("IsPositive/1").FullName, Is.EqualTo("Some/Roots.IsPositive/1"));
            Assert.That(report.Case("Divides").File, Is.EqualTo("gtest/t.cc"));
        }
    }

    [Test]
    public void Trx_takes_the_class_from_the_definitions_that_follow_the_results()
    {
        var report = Sample.File("nunit.trx");
        var test = report.Cases.Single(test => test.Name.StartsWith("Roots(9", StringComparison.Ordinal));

        using (Assert.EnterMultipleScope())
        {
            Assert.That(test.ClassName, Is.EqualTo("Shop.CalculatorTests"));
            Assert.That(test.FullName, Is.EqualTo("Shop.CalculatorTests.Roots(9,4)"));
            Assert.That(test.Message, Does.Contain("Expected: 4"));
            Assert.That(test.Details, Does.Contain("Tests.cs:line 6"));
            Assert.That(report.Case("Adds").Output, Does.Contain("adding"));
            Assert.That(report.Case("Books").SkipReason, Does.Contain("waits for the new ledger"));
        }
    }

    [Test]
    public void A_fixture_whose_tear_down_failed_after_its_tests_is_not_lost()
    {
        var report = Sample.File("nunit3.xml");
        var tearDown = report.Case("(one-time TearDown)");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(tearDown.ClassName, Is.EqualTo("Shop.BrokenTearDown"));
            Assert.That(tearDown.Message, Does.Contain("left a lock"));
            Assert.That(report.Case("Runs").Outcome, Is.EqualTo(TestOutcome.Passed));
            Assert.That(report.Case("Never_runs").Outcome, Is.EqualTo(TestOutcome.Error));
            Assert.That(report.Case("Takes_text(\"a, \\\"b\\\" (c)\")").Method, Is.EqualTo("Takes_text"));
            Assert.That(report.Case("Books").SkipReason, Is.EqualTo("waits for the new ledger"));
        }
    }

    [Test]
    public void Xunits_own_names_stay_as_they_are()
    {
        var report = Sample.File("xunit2.xml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                report.Case("Shop.CalculatorTests.Roots(of: 9, root: 4)").FullName,
                Is.EqualTo("Shop.CalculatorTests.Roots(of: 9, root: 4)"));
            Assert.That(report.Case("reads as a sentence").FullName, Is.EqualTo("Shop.CalculatorTests.reads as a sentence"));
            Assert.That(report.Case("Shop.CalculatorTests.Adds").Output, Does.Contain("adding"));
        }
    }

    [Test]
    public void Jupiter_keeps_its_reasons_nested_classes_and_a_class_that_could_not_be_set_up()
    {
        var report = Sample.File("junit5.xml");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("isZero()").FullName, Is.EqualTo("shop.CalculatorTest$WhenEmpty.isZero()"));
            Assert.That(report.Case("books()").SkipReason, Does.Contain("waits for the new ledger"));
            Assert.That(report.Case("assumes()").Outcome, Is.EqualTo(TestOutcome.Skipped));
            Assert.That(report.Case("neverRuns()").Outcome, Is.EqualTo(TestOutcome.Error));
            Assert.That(report.Case("breaks()").Message, Is.EqualTo("no database"));
            Assert.That(report.Case("texts(String)[2]").Outcome, Is.EqualTo(TestOutcome.Failed));
        }
    }

    [Test]
    public void Perls_subtests_and_directives_are_read_as_TestMore_writes_them()
    {
        var report = Sample.File("perl.tap");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(report.Case("of nine").Suites, Is.EqualTo(new[] { "roots (of) # numbers" }));
            Assert.That(report.Case("test 3").SkipReason, Is.EqualTo("no hardware"));
            Assert.That(report.Case("is not written yet").SkipReason, Is.EqualTo("todo: later"));
            Assert.That(report.Case("größe").Outcome, Is.EqualTo(TestOutcome.Failed));
        }
    }

    [Test]
    public void Odd_names_are_kept([Values("jest-names.xml", "vitest.xml", "mocha.xml")] string file)
    {
        var names = Sample.File(file).Cases.Select(test => test.Name).ToList();

        foreach (var name in new[] { "it's [odd]", "say \"x\" $HOME `id`", "größe 😀", "back\\slash", "x | y" })
            Assert.That(names, Has.Some.EndsWith(name));
    }

    [Test]
    public void Jest_names_are_not_doubled_by_its_class_names()
    {
        Assert.That(
            Sample.File("jest.xml").Cases.Select(test => test.FullName),
            Does.Contain("calculator when empty divides").And.Contain("calculator next of 2 is 3"));
    }
}
