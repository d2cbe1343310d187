using System.Globalization;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Cli.Pruning;

namespace CiSteps.Cli.Tests;

/// <summary>The whole command on a registry that nobody has tidied for a year.</summary>
public sealed class Pruning_a_crowd
{
    private const int Tags = 5000;
    private const int AtOnce = 8;

    [Test]
    public async Task Of_five_thousand_tags_asks_little_and_several_at_once()
    {
        await using var registry = await CrowdedRegistry.StartAsync("ci/service");
        // Four images of five tags; every fourth image is old.
        var (images, old) = (0, new List<string>());
        for (var tag = 0; tag < Tags; images++)
        {
            var names = Enumerable.Range(tag, images % 4 == 0 ? 2 : 1).Select(number =>
                $"1.{number}-{Convert.ToString(number, 16).PadLeft(12, '0')}").ToArray();
            var isOld = images % 4 == 1;
            var digest = registry.Add(isOld ? "2026-01-01T00:00:00Z"
                : TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture), names);
            if (isOld) old.Add(digest);
            tag += names.Length;
        }
        using var git = new GitRepositories();
        var clone = git.Clone();
        clone.Commit("ci-steps.yaml",
            $"registry: {{ push: '{registry.Host}' }}\ncomponents: [{{ name: service, paths: ['**'], major: 1, image: {{ "
                + $"dockerfile: Dockerfile }} }}]\n");
        clone.Push();
        using var text = new StringWriter();
        var began = TimeProvider.System.GetTimestamp();
        var exit = await StepHost.RunAsync(PruneCommand.Create(), ["--work-tree", clone.Folder, "--delete"], text, text,
            new Dictionary<string, string> { ["HOME"] = git.Folder, ["PATH"] = Environment.GetEnvironmentVariable("PATH")! });
        var took = TimeProvider.System.GetElapsedTime(began);
        var output = text.ToString();
        var asked = string.Join(", ", registry.Asked.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key} {pair.Value}"));
        TestContext.Out.WriteLine($"{registry.Asked.Values.Sum()} requests in {took.TotalSeconds:0.0} s ({asked}), "
            + $"{GC.GetTotalMemory(false) >> 20} MB");
        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), output[..Math.Min(output.Length, 2000)]);
            Assert.That(output, Does.Contain($"removed {old.Count} of {images} images"));
            Assert.That(registry.Deleted, Is.EquivalentTo(old));
            Assert.That(registry.Asked["GET tags"], Is.EqualTo(Tags / 1000));
            // One for each tag, one for each image in the release repository; two more for each image that goes: what is
            // attached to it, and the list of that.
            Assert.That(registry.Asked["GET manifest"], Is.EqualTo(Tags + images + (2 * old.Count)));
            Assert.That(registry.Asked["GET blob"], Is.EqualTo(images));
            Assert.That(registry.Asked["HEAD manifest"], Is.EqualTo(old.Count), "each tag that goes is looked at again");
            Assert.That(registry.MostAtOnce, Is.InRange(2, AtOnce));
        });
    }
}
