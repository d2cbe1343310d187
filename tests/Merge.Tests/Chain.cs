using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Merge.Tests;

/// <summary>A service with two components on <c>main</c>, and chains of private branches that have run up to merge.</summary>
internal sealed class Chain : IDisposable
{
    public const string File = """
        registry: { push: localhost:5000 }
        components:
          - { name: app, paths: [app/**], image: { context: app }, workload: { manifests: [app/k8s] } }
          - { name: other, paths: [other/**] }
          - { name: top, paths: [top/**], depends-on: [other] }
        integration:
          - { name: smoke, components: [app], class: small, tests: { run: x } }
        """;

    private const string Digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    public Chain()
    {
        Git = new GitRepositories();
        var first = Git.Clone("first");
        first.Write("app/a", string.Concat(Enumerable.Range(1, 20).Select(line => $"{line}\n")));
        first.Write("other/o", "1\n");
        Start = first.Commit("ci-steps.yaml", File, "Begin");
        first.Push();
    }

    public GitRepositories Git { get; }

    public string Start { get; }

    public string Main => Git.Git("rev-parse", "main");

    /// <summary>A clone on a new private branch with one pushed commit.</summary>
    public GitClone Branch(string name, string path, string text)
    {
        var clone = Git.Clone(name.Replace('/', '-'));
        clone.Branch(name);
        clone.Commit(path, text, $"Change {path} on {name}");
        clone.Push();
        return clone;
    }

    /// <summary>Somebody else's commit on main.</summary>
    public string MoveMain(string path, string text)
    {
        var clone = Git.Clone("mover" + Guid.NewGuid().ToString("N"));
        var commit = clone.Commit(path, text, $"Move {path}");
        clone.Push();
        return commit;
    }

    /// <summary>Writes the evidence of the steps before merge.</summary>
    public static async Task Passed(GitClone clone, bool suite = true, bool built = true, string digest = Digest,
        string[]? but = null, string build = "17", string? key = null, string? alsoRan = null)
    {
        var image = new BuiltImage("app", "localhost:5000/ci/app", "1.17-x", Digest, built);
        but ??= [];
        var environment = key is null ? [] : new Dictionary<string, string> { ["CISTEPS_SIGNING_KEY"] = key };
        if (!but.Contains("unit-test"))
            await clone.StateAsync("unit-test", build, async run =>
                Outcome.Done("passed").HandingOver(new UnitTestHandOver("",
                    [.. (await run.ChangesAsync(new Dictionary<string, string?>(), default))
                .Select(change => new TestedComponent(change.Component.Name, change.Changed, "", change.Component.Name == "app"
                    ? 12 : 0, 0, 0, 0) { Runs = [.. change.Component.UnitTests.Select(tests => tests.Name), .. alsoRan is null
                        ? Array.Empty<string>() : [alsoRan]] })]),
                HandOverJson.Default.UnitTestHandOver), environment);
        if (!but.Contains("image-build"))
            await clone.StateAsync("image-build", build, Outcome.Done("built")
                .HandingOver(new ImageBuildHandOver([image]), HandOverJson.Default.ImageBuildHandOver), environment);
        if (!but.Contains("integration-deploy"))
            await clone.StateAsync("integration-deploy", build, Outcome.Done("passed").HandingOver(new IntegrationHandOver(
                suite ? [new SuiteResult("smoke", ["app"], [image with { Digest = digest }], [], 3, 0, 0, true)] : []),
                HandOverJson.Default.IntegrationHandOver), environment);
    }

    /// <summary>Runs merge in a clone.</summary>
    public static async Task<Ended> Merge(GitClone clone, params string[] args) => await Merge(clone, null, args);

    public static Task<Ended> Merge(GitClone clone, IOrigin? origin, params string[] args) =>
        MergeIn(clone, [], origin, default, args);

    public static Task<Ended> MergeIn(GitClone clone, Dictionary<string, string> environment, params string[] args) =>
        MergeIn(clone, environment, null, default, args);

    public static Task<Ended> MergeIn(GitClone clone, Dictionary<string, string> environment, IOrigin? origin,
        CancellationToken stop, params string[] args) =>
        MergeAt(
            new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero)), clone, environment, origin, stop, args);

    public static Task<Ended> MergeAt(TimeProvider time, GitClone clone, IOrigin? origin, params string[] args) =>
        MergeAt(time, clone, [], origin, default, args);

    private static async Task<Ended> MergeAt(
        TimeProvider time,
        GitClone clone,
        Dictionary<string, string> environment,
        IOrigin? origin,
        CancellationToken stop,
        params string[] args)
    {
        using var output = new StringWriter();
        var exit = await StepHost.RunAsync(MergeCommand.Create(origin is null ? null : (_, _) => origin),
            ["--work-tree", clone.Folder, "--build-number", "17", .. args], output, output, environment,
            time, stop: stop);
        return new Ended(exit, output.ToString());
    }

    /// <summary>What merge handed over.</summary>
    public static MergeHandOver? HandOver(GitClone clone) =>
        new EvidenceStore(Path.Combine(clone.Folder, ".ci-steps", "evidence")).TryReadAny("merge", out var evidence, out _)
            ? evidence.HandOverAs(HandOverJson.Default.MergeHandOver) : null;

    public void Dispose() => Git.Dispose();
}

/// <summary>How a run of merge ended and what it said.</summary>
internal sealed record Ended(int Exit, string Output)
{
    /// <summary>Asserts the exit code and words of the output.</summary>
    public void Was(int exit, params string[] says) => Assert.Multiple(() =>
    {
        Assert.That(Exit, Is.EqualTo(exit), Output);
        foreach (var words in says) Assert.That(Output, Does.Contain(words));
    });
}
