using System.Text;

namespace CiSteps.TestReports.Tests;

/// <summary>JSON reports that somebody broke.</summary>
public sealed class BrokenJson
{
    private const int Seed = 11;

    [TestCase(
        """{"reportFormat":"CTRF","specVersion":"0.0.0","results":{"tool":{"name":"x"}""" +
        ""","summary":{"tests":2,"passed":1,"failed":1,"pending":0,"skipped":0,"other":0,"start":1,"stop":2}""" +
        ""","tests":[{"name":"one","status":"passed","duration":5,"suite":"s"},""" +
        """{"name":"two","status":"failed","duration":5,"message":"no"}]}}""")]
    [TestCase(
        """{"numTotalTests":1,"numPassedTests":1,"numFailedTests":0""" +
        ""","success":true,"testResults":[{"name":"/a/b.test.js","status":"passed","message":"","startTime":1,"endTime":2""" +
        ""","assertionResults":[{"ancestorTitles":["s"],"fullName":"s one","status":"passed","title":"one","duration":3""" +
        ""","failureMessages":[]}]}]}""")]
    [TestCase(
        """{"stats":{"suites":1,"tests":1,"passes":1,"pending":0,"failures":0,"duration":3}""" +
        ""","tests":[{"title":"one","fullTitle":"s one","duration":3,"err":{}}],"pending":[],"failures":[]""" +
        ""","passes":[{"title":"one","fullTitle":"s one","duration":3,"err":{}}]}""")]
    [TestCase(
        "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"T\"}\n" +
        "{\"Action\":\"output\",\"Package\":\"p\",\"Test\":\"T\",\"Output\":\"x\\n\"}\n" +
        "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\",\"Elapsed\":0.1}\n" +
        "{\"Action\":\"pass\",\"Package\":\"p\",\"Elapsed\":0.2}\n")]
    public void Are_reports_with_a_fault_and_never_an_exception(string sound)
    {
        var random = new Random(Seed);
        Assert.That(Read(Encoding.UTF8.GetBytes(sound)).Fault, Is.Null);
        for (var round = 0; round < 1500; round++)
        {
            var bytes = Encoding.UTF8.GetBytes(sound).ToList();
            for (var changes = random.Next(1, 3); changes > 0; changes--) Break(bytes, random);

            Assert.That(() => Read([.. bytes]), Throws.Nothing, Encoding.UTF8.GetString([.. bytes]));
        }
    }

    private static TestReport Read(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        return ReportReader.Read(stream, ReportFormat.Auto, "report.json");
    }

    private static void Break(List<byte> bytes, Random random)
    {
        var at = random.Next(bytes.Count - 1);
        switch (random.Next(4))
        {
            case 0:
                bytes[at] = (byte)random.Next(256);
                break;
            case 1:
                bytes.InsertRange(at, "\\ud800"u8.ToArray());
                break;
            case 2:
                bytes.RemoveRange(at, Math.Min(random.Next(1, 30), bytes.Count - at - 1));
                break;
            default:
                bytes.Insert(at, (byte)"{}[]\",:0n"[random.Next(9)]);
                break;
        }
        if (bytes.Count < 2) bytes.AddRange("{}"u8);
    }
}
