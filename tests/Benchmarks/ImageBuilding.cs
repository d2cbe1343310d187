using System.Globalization;
using System.Security.Cryptography;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Benchmarks;

/// <summary>
/// The published image-build step on a commit, with its evidence, tag checks and read-back, against the bare calls it stands for.
/// </summary>
internal static class ImageBuilding
{
    private const int FileCount = 20_000;
    private const long Megabyte = 1 << 20;

    // Both sides build with BuildKit, or both with the engine's own builder.
    private static readonly (string Name, string Builder, string BuildKit)[] Builders =
        [("the engine's own builder", "engine", "0"), ("BuildKit", "buildx", "1")];

    public static async Task RunAsync(Table table)
    {
        await using var engine = await LocalEngine.OpenAsync();
        await using var registry = await LocalRegistry.StartAsync();
        engine.OwnAllOf(registry);
        var basis = await engine.MakeBaseImageAsync($"{registry.Host}/base/tools");
        await engine.Engine.PushAsync(basis);
        foreach (var builder in Builders.Take(await HasBuildxAsync() ? 2 : 1))
        {
            Task Compare(string what, int times, Func<string, Task> change) =>
                CompareAsync(table, registry, basis.ToString(), builder, what, times, change);
            await Compare("of a few files", 7, folder => WriteAsync(folder, "content", 1));
            await Compare("of 30 MB", 5, folder => WriteAsync(folder, "content", 30 * Megabyte));
            await Compare($"of {FileCount:#,0} files", 3, WriteManyAsync);
            await Compare($"of {FileCount:#,0} files, none of them changed", 3,
                folder => Directory.Exists(Path.Combine(folder, "content")) ? Task.CompletedTask : WriteManyAsync(folder));
            await Compare("of 2 GB", 1, folder => WriteAsync(folder, "content", 2048 * Megabyte));
        }
    }

    private static async Task<bool> HasBuildxAsync()
    {
        var (exit, said, _) = await ChildProcess.CaptureAsync(new("docker", ["buildx", "version"], Programs.Root));
        return exit == 0 && said.Contains("buildx", StringComparison.Ordinal);
    }

    private static async Task CompareAsync(
        Table table,
        LocalRegistry registry,
        string basis,
        (string Name, string Builder, string BuildKit) builder,
        string what,
        int times,
        Func<string, Task> change)
    {
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
                  builder: {builder.Builder}
            """);
        // The content is not part of the history: what git makes of two gigabytes is not what is measured.
        clone.Write(".gitignore", "service/content\n");
        clone.Write("service/.dockerignore", "number\n");
        clone.Write("service/Dockerfile", $"FROM {basis}\nCOPY content /content\n");
        clone.Commit("first");
        clone.Git("push", "--quiet", "origin", "HEAD:main");
        clone.Branch("ci/change");
        var step = Programs.Published("image-build");
        var environment = new Dictionary<string, string?> { ["DOCKER_BUILDKIT"] = builder.BuildKit };
        var (number, most) = (0, 0L);
        await table.CompareAsync($"`image-build` {what} by {builder.Name}, as built and pushed", times,
            async () => most = Math.Max(most, await Programs.MeasureAsync(
                clone.Folder, new Dictionary<string, string?>(), step, "--build-number", $"{number}")),
            "`docker build --pull` with labels, `docker push`", async () =>
            {
                var name = registry.Reference("bare/service", $"1.{number}").ToString();
                // As many as the step gives an image, and new ones each time; each is an instruction of the build.
                var labels = Enumerable.Range(1, 6).SelectMany(one => new[] { "--label", $"org.example.label-{one}={number}" });
                string[] arguments = ["build", "--quiet", "--pull", .. labels, "--tag", name, "service"];
                await Programs.RunInAsync(clone.Folder, environment, "docker", arguments);
                await Programs.RunInAsync(clone.Folder, "docker", "push", "--quiet", name);
            }, before: async () =>
            {
                await change(Path.Combine(clone.Folder, "service"));
                clone.Write("service/number", $"{++number}");
                clone.Commit(number.ToString(CultureInfo.InvariantCulture));
            }, remark: () => $", {most >> 20} MB");
    }

    private static async Task WriteManyAsync(string folder)
    {
        for (var at = 0; at < FileCount; at++) await WriteAsync(folder, $"content/{at % 200}/{at}", 1 << 10);
    }

    private static async Task WriteAsync(string folder, string path, long size)
    {
        var whole = Path.Combine(folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(whole)!);
        await using var file = File.Create(whole);
        var piece = new byte[Math.Min(size, Megabyte)];
        for (var at = 0L; at < size; at += piece.Length)
        {
            RandomNumberGenerator.Fill(piece);
            await file.WriteAsync(piece);
        }
    }
}
