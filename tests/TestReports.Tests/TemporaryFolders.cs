using CiSteps.Hosting;

namespace CiSteps.TestReports.Tests;

public sealed class TemporaryFolders
{
    [Test]
    public void That_are_full_are_named_and_are_no_fault_of_the_report()
    {
        using var full = new FileStream(
            "/dev/full", new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.ReadWrite, BufferSize = 0 });
        var file = new CaseFile(full);

        Assert.That(
            () => Enumerable.Range(0, 10)
                .Select(number => file.Append(new TestCase([], null, new string('x', 100), TestOutcome.Passed)))
                .ToList(),
            Throws.TypeOf<UnavailableException>().With.Message
                .Contains($"\"{Path.GetTempPath()}\"").And
                .Property("Reason")
                .EqualTo("temporary-folder"));
    }
}
