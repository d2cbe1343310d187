using System.Security.Cryptography;
using CiSteps.Fixtures;
using CiSteps.Images;

namespace CiSteps.Benchmarks;

/// <summary>A second tag for an image in the registry: what certify does, against pulling, tagging and pushing.</summary>
internal static class Retag
{
    private const int LayerBytes = 50 << 20;

    public static async Task RunAsync(Table table)
    {
        await using var engine = await LocalEngine.OpenAsync();
        await using var registry = await LocalRegistry.StartAsync();
        using var folder = new TestFolder();
        await File.WriteAllBytesAsync(folder.Of("layer"), RandomNumberGenerator.GetBytes(LayerBytes));
        await Programs.RunInAsync(folder.Path, "tar", "-cf", "layer.tar", "layer");
        var image = registry.Reference("benchmark/image", "1").ToString();
        await Programs.RunInAsync(folder.Path, "docker", "import", "layer.tar", image);
        await Programs.RunAsync("docker", "push", "--quiet", image);
        using var client = registry.Connect();
        var (number, requests) = (1, 0);
        var pulled = new List<string> { image };
        await table.CompareAsync($"retag of an image of {LayerBytes >> 20} MB", 7, async () =>
        {
            var before = client.Requests;
            var manifest = await client.FindManifestAsync(ImageReference.Parse(image))
                ?? throw new InvalidOperationException($"{image} is not in the registry");
            await client.MoveTagAsync(registry.Reference("benchmark/image", $"{++number}"), manifest, expected: null);
            requests = client.Requests - before;
        }, "`docker pull`, `tag`, `push`", async () =>
        {
            var target = registry.Reference("benchmark/image", $"{++number}").ToString();
            await Programs.RunAsync("docker", "pull", "--quiet", image);
            await Programs.RunAsync("docker", "tag", image, target);
            await Programs.RunAsync("docker", "push", "--quiet", target);
            pulled.Add(target);
        }, before: async () =>
        {
            // As on an agent that did not build it.
            foreach (var reference in pulled) await engine.Engine.RemoveImageAsync(reference, force: true);
            pulled.RemoveRange(1, pulled.Count - 1);
        });
        table.Add(
            "HTTP calls of a retag, none of them for a blob", $"{requests}", "the bound of the design", "4", requests / 4.0);
        foreach (var reference in pulled) await engine.Engine.RemoveImageAsync(reference, force: true);
    }
}
