using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild.Tests;

/// <summary>A git repository with one service (and a second one that never changes), an origin, and the step run in it.</summary>
internal sealed class ServiceRepository : IDisposable
{
    private readonly GitRepositories git = new();

    public ServiceRepository(
        string registry,
        string baseImage,
        string dockerfile = "FROM {base}\nCOPY file /file\n",
        string more = "",
        string suites = "")
    {
        Clone = git.Clone();
        Write("ci-steps.yaml", $"""
            registry:
              push: {registry}
              pull: pull.example:5000
            components:
              - name: service
                paths: [service/**]
                major: 3
                image:
                  dockerfile: service/Dockerfile
                  context: service
            {more}
              - name: other
                paths: [other/**]
                major: 1
                image:
                  dockerfile: other/Dockerfile
                  context: other
            {suites}
            """.ReplaceLineEndings("\n").Replace("\n\n", "\n", StringComparison.Ordinal));
        Write("service/Dockerfile", dockerfile.Replace("{base}", baseImage, StringComparison.Ordinal));
        Write("service/file", "one\n");
        Write("other/Dockerfile", $"FROM {baseImage}\n");
        Commit("first");
        Clone.Git("push", "--quiet", "origin", "HEAD:main");
    }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public string Evidence(string step) => File.ReadAllText(Clone.Evidence(step));

    public void Write(string path, string text)
    {
        var whole = System.IO.Path.Combine(Clone.Folder, path);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(whole)!);
        File.WriteAllText(whole, text);
    }

    public string Commit(string message)
    {
        Clone.Git("add", "-A");
        Clone.Git("commit", "--quiet", "-m", message);
        return Clone.Head;
    }

    /// <summary>Starts a private branch with one change of the service and pushes it.</summary>
    public void Branch(string name = "ci/change", string text = "two\n")
    {
        Clone.Git("checkout", "--quiet", "-b", name);
        Write("service/file", text);
        Commit("change");
        Clone.Git("push", "--quiet", "origin", name);
    }

    public Task<int> RunAsync(StepCommand step, string buildNumber, params string[] more) =>
        RunAsync(step, buildNumber, new StringWriter(), CancellationToken.None, more);

    public async Task<int> RunAsync(
        StepCommand step, string buildNumber, TextWriter output, CancellationToken stop, params string[] more)
    {
        using var error = new StringWriter();
        var exit = await StepHost.RunAsync(
            step,
            ["--work-tree", Clone.Folder, "--build-number", buildNumber, .. more],
            output,
            error,
            new Dictionary<string, string>(Environment) { ["HOME"] = git.Folder, ["PATH"] = Path },
            Time,
            stop: stop);
        Output = output.ToString() + error;
        return exit;
    }

    /// <summary>What image-build handed over.</summary>
    public IReadOnlyList<BuiltImage> Images() =>
        Clone.HandedOver("image-build", HandOverJson.Default.ImageBuildHandOver).Images;

    /// <summary>Writes the evidence of another step.</summary>
    public Task StateAsync(string step, string buildNumber, Outcome outcome) =>
        Clone.StateAsync(step, buildNumber, outcome, Environment);

    /// <summary>
    /// Variables of the step: the engine, and the plug-ins of docker's client where the tests are run with a configuration of
    /// their own.
    /// </summary>
    public Dictionary<string, string> Environment { get; } =
        System.Environment.GetEnvironmentVariable("DOCKER_CONFIG") is { Length: > 0 } configuration
            ? new(LocalEngine.Variables) { ["DOCKER_CONFIG"] = configuration } : new(LocalEngine.Variables);

    /// <summary>The step's clock.</summary>
    public TimeProvider Time { get; set; } = TimeProvider.System;

    /// <summary>Search path of the step.</summary>
    public string Path { get; set; } = System.Environment.GetEnvironmentVariable("PATH")!;

    public void Dispose() => git.Dispose();
}
