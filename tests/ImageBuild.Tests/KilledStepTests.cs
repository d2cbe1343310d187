using System.Diagnostics;
using System.Globalization;
using CiSteps.Fixtures;

namespace CiSteps.ImageBuild.Tests;

/// <summary>The real executable, ended by SIGKILL, which no program can answer.</summary>
public sealed class KilledStepTests
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    [TestCase("buildx")]
    [TestCase("pre-build")]
    public async Task Takes_along_what_it_had_started(string what)
    {
        await using var registry = await LocalRegistry.StartAsync();
        await using var engine = await StandInEngine.StartAsync(EngineStyle.All[0], registry);
        engine.Hold("localhost/base:1");
        using var tools = new TestFolder();
        // It runs on in a session of its own, as docker's plug-ins may, and tells who it is.
        const string runsOn = "setsid sh -c 'echo \"begun $$\"; exec sleep 600'\n";
        foreach (var (name, text) in new[]
        {
            ("docker", "#!/bin/sh\n[ \"$2\" = build ] || exit 0\n" + runsOn),
            ("prepare", "#!/bin/sh\n" + runsOn)
        })
            File.SetUnixFileMode(tools.Write(name, text), (UnixFileMode)0b111_101_101);
        using var repository = new ServiceRepository(registry.Host, "localhost/base:1",
            more: what == "buildx" ? "      builder: buildx" : $"    pre-build: {{ run: [{tools.Of("prepare")}] }}");
        repository.Branch();

        var start = new ProcessStartInfo(
            "dotnet",
            [
                Executable(),
                "--work-tree",
                repository.Clone.Folder,
                "--build-number",
                "1"
            ])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOCKER_HOST"] = engine.Address;
        start.Environment["PATH"] = tools.Path + ":" + start.Environment["PATH"];
        using var step = Process.Start(start)!;
        _ = step.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(Longest);
        var said = new List<string>();
        Process? child = null;
        while (child is null && await step.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            said.Add(line);
            if (line.Contains("begun ", StringComparison.Ordinal))
                child = Process.GetProcessById(int.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
        }
        Assert.That(child, Is.Not.Null, string.Join('\n', said));
        step.Kill();
        await step.WaitForExitAsync(limit.Token);
        await child!.WaitForExitAsync(limit.Token);
        child.Dispose();
    }

    // The step's own build output stands beside the tests'.
    private static string Executable()
    {
        var tests = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        return Path.Combine(tests.Parent!.Parent!.FullName, "CiSteps.ImageBuild", tests.Name, "image-build.dll");
    }
}
