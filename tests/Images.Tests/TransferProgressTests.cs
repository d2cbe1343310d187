using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Images.Tests;

public sealed class TransferProgressTests
{
    [Test]
    public void Says_now_and_then_how_far_all_layers_together_are()
    {
        var time = new FakeTimeProvider();
        var said = new List<string>();
        var progress = new TransferProgress(said.Add, time);
        progress.Add("a", 1_000_000, 10_000_000);
        time.Advance(TimeSpan.FromSeconds(4));
        progress.Add("b", 2_000_000, 5_000_000);
        time.Advance(TimeSpan.FromSeconds(1));
        progress.Add("a", 4_000_000, 10_000_000);
        progress.Add("a", 5_000_000, 10_000_000);
        time.Advance(TimeSpan.FromSeconds(5));
        // Some registries do not say how much there is.
        progress.Add("c", 3_000_000, 0);
        Assert.That(said, Is.EqualTo(new[] { "6.0 MB of 15.0 MB", "10.0 MB of 18.0 MB" }));
    }
}
