namespace CiSteps.Reports.Tests;

public sealed class A_report_page
{
    private const string Hostile = "\"'><script>alert(1)</script>&<!--\ud800\0";

    private static string Page(string text)
    {
        var began = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var row = new ReportRow(text, text, began, began.AddSeconds(3), text + ".")
        {
            Problems = [new(text, text)],
            HandedOver = [text],
            Tests = (1, 1, 1),
            FailedTests = [.. Enumerable.Repeat(new FailedTest(text, text), 51)],
            Log = text,
            Detail = text,
        };
        return ReportPage.Of(new ChainReport(text, false, text, [row]) { Facts = [(text, text)] });
    }

    [Test]
    public void Has_the_same_elements_and_attributes_whatever_the_texts_are()
    {
        var (harmless, hostile) = (Page("x"), Page(Hostile));
        foreach (var mark in "<>\"'")
            Assert.That(hostile.Count(letter => letter == mark), Is.EqualTo(harmless.Count(letter => letter == mark)), $"{mark}");
        Assert.That(hostile, Does.Not.Contain("<script"));
    }

    [Test]
    public void Says_how_many_failed_tests_it_does_not_show() => Assert.That(Page("x"), Does.Contain("and 1 more, see the log"));

    [Test]
    public void Leads_to_no_script() => Assert.That(Page("javascript:alert(1)"), Does.Not.Contain("href=\"javascript:"));
}
