using CiSteps.Fixtures;

namespace CiSteps.Images.Tests;

/// <summary>What a killed process left in the temporary folder goes, and what one works with stays.</summary>
public sealed class StepFolderTests
{
    [Test]
    public void What_nobody_holds_any_more_is_removed_and_what_somebody_holds_stays()
    {
        using var held = StepFolder.Create();
        var left = Directory.CreateTempSubdirectory("ci-steps-images-1-").FullName;
        File.WriteAllText(Path.Combine(left, ".in-use"), "");
        File.WriteAllText(Path.Combine(left, "Dockerfile"), "FROM a");
        // One that is just being made has not got its lock yet.
        var fresh = Directory.CreateTempSubdirectory("ci-steps-images-1-").FullName;
        using (var next = StepFolder.Create())
        {
            Assert.That(Directory.Exists(left), Is.False);
            Assert.That(
                (Directory.Exists(held.Path), Directory.Exists(fresh), Directory.Exists(next.Path)),
                Is.EqualTo((true, true, true)));
        }
        Directory.SetLastWriteTimeUtc(fresh, DateTime.UtcNow.AddHours(-2));
        using var last = StepFolder.Create();
        Assert.That(Directory.Exists(fresh), Is.False);
        Assert.That(Path.GetFileName(last.Path), Does.Contain($"-{Environment.ProcessId}-"));
    }
}
