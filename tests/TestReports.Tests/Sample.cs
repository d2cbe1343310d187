using System.Text;

namespace CiSteps.TestReports.Tests;

/// <summary>Reports that real runners wrote, and texts as reports.</summary>
internal static class Sample
{
    public static TestReport File(string name, ReportFormat format = ReportFormat.Auto) =>
        ReportReader.ReadFile(PathOf(name), format, name);

    public static string PathOf(string name) => Path.Combine(TestContext.CurrentContext.TestDirectory, "Samples", name);

    public static TestReport Text(string text, ReportFormat format = ReportFormat.Auto)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        return ReportReader.Read(stream, format, "report");
    }

    public static TestReport Lines(string text, ReportFormat format = ReportFormat.Auto)
    {
        using var reader = new StringReader(text);
        return ReportReader.ReadLines(reader, format, "output");
    }

    public static TestCase Case(this TestReport report, string name) => report.Cases.Single(test => test.Name == name);
}
