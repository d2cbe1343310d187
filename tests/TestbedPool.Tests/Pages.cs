using CiSteps.Testbeds.Pool;

namespace CiSteps.TestbedPool.Tests;

public sealed class The_pools_page
{
    private static string Page(string text)
    {
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var testbed = new TestbedStatus(text, text, text, at, text, text, 1, 0, text);
        var claim = new ClaimStatus(text, text, text, text, text, 1, text, 1, 0, at, true, at, text);
        return PoolPage.Page(new PoolView(at, [testbed], [claim]), text);
    }

    [Test]
    public void Has_the_same_elements_and_attributes_whatever_the_texts_are()
    {
        var (harmless, hostile) = (Page("x"), Page("x onclick=y \"'><script>alert(1)</script>&<!--\ud800\0"));
        foreach (var mark in "<>\"'")
            Assert.That(hostile.Count(letter => letter == mark), Is.EqualTo(harmless.Count(letter => letter == mark)), $"{mark}");
        Assert.That(harmless, Does.Contain("1 testbed in x: 1 x; 1 claim waits."));
    }
}
