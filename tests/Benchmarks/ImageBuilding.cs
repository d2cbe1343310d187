using System.Globalization;
using System.Security.Cryptography;
using CiSteps.Fixtures;

namespace CiSteps.Benchmarks;

/// <summary>The published image-build step on a commit, with its evidence, tag checks and read-back, against the bare calls it stands for.</summary>
internal static class ImageBuilding
{
    private const int ContentBytes = 30 << 20;

    public static async Task RunAsync(Table table)
    {
        await using var engine = await LocalEngine.OpenAsync();
        await using var registry = await LocalRegistry.StartAsync();
        engine.OwnAllOf(registry);
        var basis = await engine.MakeBaseImageAsync($"{registry.Host}/base/tools");
        await engine.Engine.PushAsync(basis);
        using var git = new GitRepositories();
        var clone = git.Clone();
        clone.Write("ci-steps.yaml", $"""
            registry:
              push: {registry.Host}
              pull: {registry.Host}
            components:
              - name: service
                paths: [service/**]
                major: 1
                image:
                  dockerfile: service/Dockerfile
                  context: service
            """);
        clone.Write("service/Dockerfile", $"FROM {basis}\nCOPY content /content\nRUN sha256sum /content > /sum\n");
        clone.Commit("first");
        clone.Git("push", "--quiet", "origin", "HEAD:main");
        clone.Branch("ci/change");
        var step = Programs.Published("image-build");
        // As many as the step gives an image; each is an instruction of the build.
        var labels = Enumerable.Range(1, 6).SelectMany(one => new[] { "--label", $"org.example.label-{one}=value" }).ToArray();
        var number = 0;
        await table.CompareAsync($"`image-build` of {ContentBytes >> 20} MB, as built and pushed", 5,
            () => Programs.RunInAsync(clone.Folder, step, "--build-number", $"{number}"),
            "`docker build --pull` with labels, `docker push`", async () =>
            {
                var name = registry.Reference("bare/service", $"1.{number}").ToString();
                await Programs.RunInAsync(clone.Folder, "docker", ["build", "--quiet", "--pull", .. labels, "--tag", name, "service"]);
                await Programs.RunInAsync(clone.Folder, "docker", "push", "--quiet", name);
            }, before: async () =>
            {
                await File.WriteAllBytesAsync(Path.Combine(clone.Folder, "service", "content"), RandomNumberGenerator.GetBytes(ContentBytes));
                clone.Commit((++number).ToString(CultureInfo.InvariantCulture));
            });
    }
}
