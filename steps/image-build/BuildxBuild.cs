using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.ImageBuild;

/// <summary>A build by <c>docker buildx</c>, for Dockerfiles that the engine's own builder does not know. It gets the same context and leaves the image on the engine.</summary>
internal sealed partial class BuildxBuild(StepContext context)
{
    private const int KeptLines = 20;
    private readonly IReadOnlyDictionary<string, string> environment = context.Settings.Environment;

    public async Task<EngineBuildResult> RunAsync(EngineBuild build, BuildContext files, IReadOnlyList<ImageReference> cacheFrom, CancellationToken cancel)
    {
        var program = Locate() ?? throw Missing("there is no docker command on the path");
        var probe = await ProbeAsync(program, cancel).ConfigureAwait(false);
        if (probe.Exit != 0) throw Missing(probe.Text);
        var idFile = Path.GetTempFileName();
        try
        {
            var said = new BuildxProgress(context.Log.Child);
            // As a folder: of a tar on its standard input BuildKit leaves out nothing, not the Dockerfile either that
            // .dockerignore names.
            using var handed = files.OpenFolder();
            string[] arguments = [.. Arguments(build, cacheFrom, idFile, handed)];
            var exit = await FollowAsync(program, arguments, said, cancel).ConfigureAwait(false);
            if (exit != 0) throw new ImageBuildException(said.Instruction, said.Error.Length > 0 ? said.Error : $"docker buildx ended with exit code {exit}", said.LastLines);
            handed.RequireUnchanged();
            var id = (await File.ReadAllTextAsync(idFile, cancel).ConfigureAwait(false)).Trim();
            return ImageReference.IsDigest(id) ? new EngineBuildResult(id, said.Steps, said.Cached) : throw new ImageBuildException("", "docker buildx ended well and named no image", said.LastLines);
        }
        finally
        {
            File.Delete(idFile);
        }
    }

    private static IEnumerable<string> Arguments(
        EngineBuild build, IReadOnlyList<ImageReference> cacheFrom, string idFile, ContextFolder files)
    {
        yield return "buildx";
        yield return "build";
        yield return "--progress=plain";
        // A plain image: provenance is ours to attach, beside the image and not inside an index.
        yield return "--provenance=false";
        yield return "--sbom=false";
        yield return "--load";
        yield return "--iidfile=" + idFile;
        yield return "--file=" + files.Dockerfile;
        if (build.Name is { } name) yield return "--tag=" + name;
        if (build.Target is { } target) yield return "--target=" + target;
        if (build.Platform is { } platform) yield return "--platform=" + platform;
        foreach (var (key, value) in build.Arguments.OrderBy(pair => pair.Key, StringComparer.Ordinal)) yield return $"--build-arg={key}={value}";
        foreach (var (key, value) in build.Labels.OrderBy(pair => pair.Key, StringComparer.Ordinal)) yield return $"--label={key}={value}";
        foreach (var source in cacheFrom) yield return $"--cache-from=type=registry,ref={source}";
        yield return "--cache-to=type=inline";
        yield return files.Folder;
    }

    private async Task<int> FollowAsync(
        string program, IReadOnlyList<string> arguments, BuildxProgress said, CancellationToken cancel)
    {
        using var process = Start(program, arguments);
        var reading = Task.WhenAll(ReadAsync(process.StandardOutput, said), ReadAsync(process.StandardError, said));
        try
        {
            process.StandardInput.Close();
            await process.WaitForExitAsync(cancel).ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            return process.ExitCode;
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static async Task ReadAsync(TextReader reader, BuildxProgress said)
    {
        while (await reader.ReadLineAsync().ConfigureAwait(false) is { } line) said.Add(line);
    }

    private Process Start(string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = context.WorkTree,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment.Clear();
        foreach (var (name, value) in environment)
            if (!name.StartsWith("CISTEPS_", StringComparison.Ordinal)) start.Environment[name] = value;
        start.Environment["DOCKER_BUILDKIT"] = "1";
        try
        {
            return Process.Start(start) ?? throw Missing("docker cannot be started");
        }
        catch (Win32Exception error)
        {
            throw Missing(error.Message);
        }
    }

    private async Task<(int Exit, string Text)> ProbeAsync(string program, CancellationToken cancel)
    {
        var (exit, output, error) = await ChildProcess.CaptureAsync(program, ["buildx", "version"], context.WorkTree, environment.ToDictionary(pair => pair.Key, pair => (string?)pair.Value), cancel).ConfigureAwait(false);
        return (exit, (error.Length > 0 ? error : output).Trim().Split('\n')[0]);
    }

    private string? Locate() => (environment.GetValueOrDefault("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .SelectMany(folder => new[] { Path.Combine(folder, "docker"), Path.Combine(folder, "docker.exe") }).FirstOrDefault(File.Exists);

    private static UsageException Missing(string why) =>
        new($"ci-steps.yaml asks for image.builder \"buildx\" and docker buildx is not to be had on this agent ({why}): install docker's client with its buildx plug-in, or take the engine's own builder");

    /// <summary>What buildx says in its plain form: <c>#5 [2/3] RUN make</c>, <c>#5 0.123 output</c>, <c>#5 CACHED</c>, <c>ERROR: …</c>.</summary>
    internal sealed partial class BuildxProgress(Action<string> onLine)
    {
        private readonly Lock gate = new();
        private readonly Dictionary<string, string> instructions = new(StringComparer.Ordinal);
        private readonly Queue<string> last = new();
        private string current = "";

        public string Instruction { get; private set; } = "";

        public string Error { get; private set; } = "";

        public int Steps => instructions.Count;

        public int Cached { get; private set; }

        public IReadOnlyList<string> LastLines => [.. last];

        public void Add(string line)
        {
            lock (gate)
            {
                onLine(line);
                if (Vertex().Match(line) is { Success: true } vertex)
                {
                    var (id, text) = (vertex.Groups[1].Value, vertex.Groups[2].Value);
                    if (Stage().Match(text) is { Success: true } stage) instructions[id] = stage.Groups[1].Value;
                    else if (text == "CACHED") Cached++;
                    else if (text.StartsWith("ERROR: ", StringComparison.Ordinal) && instructions.TryGetValue(id, out var failed)) Instruction = failed;
                    else if (Timed().Match(text) is { Success: true } output) Keep(id, output.Groups[1].Value);
                }
                else if (line.StartsWith("ERROR: ", StringComparison.Ordinal)) Error = line[7..];
            }
        }

        private void Keep(string id, string text)
        {
            if (id != current) last.Clear();
            current = id;
            last.Enqueue(text);
            if (last.Count > KeptLines) last.Dequeue();
        }

        [GeneratedRegex(@"^#(\d+) (.*)$")]
        private static partial Regex Vertex();

        [GeneratedRegex(@"^\[(?:[^\]]* )?\d+/\d+\] (.*)$")]
        private static partial Regex Stage();

        [GeneratedRegex(@"^\d+\.\d+ (.*)$")]
        private static partial Regex Timed();
    }
}
