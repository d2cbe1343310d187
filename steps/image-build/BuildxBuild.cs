using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.ImageBuild;

/// <summary>
/// A build by <c>docker buildx</c> in the very engine that the step speaks to. It gets the same context and leaves the image
/// there.
/// </summary>
/// <param name="context">The step that asks: its options, log, clock and environment.</param>
/// <param name="program">buildx, as it was found.</param>
/// <param name="location">Engine that buildx is pointed to.</param>
/// <param name="credentials">For the images that layers are taken from, and for bases.</param>
internal sealed partial class BuildxBuild(
    StepContext context, BuildxProgram program, EngineLocation location, RegistryCredentials credentials)
{
    private const int KeptLines = 20;

    /// <summary>Builds.</summary>
    /// <param name="build">What to build.</param>
    /// <param name="files">Folder or archive that the Dockerfile copies from.</param>
    /// <param name="cacheFrom">Images in the registry whose layers may be used again.</param>
    /// <param name="secrets">Arguments for secrets and ssh.</param>
    /// <param name="cancel">Stops the build.</param>
    /// <exception cref="ImageBuildException">The build failed.</exception>
    public async Task<EngineBuildResult> RunAsync(
        EngineBuild build,
        BuildContext files,
        IReadOnlyList<ImageReference> cacheFrom,
        IReadOnlyList<string> secrets,
        CancellationToken cancel)
    {
        using var configuration = ClientConfiguration.For(credentials, context.Options.Environment);
        var said = new BuildxProgress(context.Log.ProcessOutput);
        // As a folder: of a tar on its standard input BuildKit leaves out nothing, not the Dockerfile either that
        // .dockerignore names.
        using var handed = files.OpenFolder();
        var command = Command(
            context, program, [.. Arguments(build, cacheFrom, secrets, handed.IdFile, handed)], location, configuration);
        var exit = await ChildProcess.RunAsync(
            command with { OnLine = (line, _) => said.Add(line), EndsWithThis = true }, cancel);
        foreach (var (source, why) in said.NotImported)
            context.Log.Warning($"no layers could be taken from {source}, so more is built than need be: {why}");
        if (exit != 0)
            throw new ImageBuildException(
                said.Instruction,
                said.Error.Length > 0 ? said.Error : $"docker buildx ended with exit code {exit}",
                said.LastLines);
        handed.RequireUnchanged();
        var id = (await File.ReadAllTextAsync(handed.IdFile, cancel)).Trim();
        return ImageReference.IsDigest(id)
            ? new EngineBuildResult(id, said.Steps, said.Cached)
            : throw new UnavailableException("engine", "docker buildx ended well and named no image");
    }

    /// <summary>A command of buildx. Its environment is the step's own, without what belongs to the chain, and with the engine
    /// that
    /// the step speaks to.</summary>
    public static ChildCommand Command(
        StepContext context,
        BuildxProgram program,
        IReadOnlyList<string> arguments,
        EngineLocation location,
        ClientConfiguration? configuration = null)
    {
        var environment = ChildEnvironment.Whole(context.Options.Environment);
        foreach (var (name, value) in location.ClientEnvironment) environment[name] = value;
        // Somebody's current builder may be a machine elsewhere: the image has to be on this engine.
        environment["BUILDX_BUILDER"] = null;
        // The platform is the one that ci-steps.yaml says, else the engine's, whatever docker's client takes on this machine.
        environment["DOCKER_DEFAULT_PLATFORM"] = null;
        // Another version of the API than engine and buildx agree on by themselves fails as if the Dockerfile were wrong.
        environment["DOCKER_API_VERSION"] = null;
        // A policy of the machine's may put other images in place of those that the provenance names.
        environment["EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"] = null;
        environment["DOCKER_BUILDKIT"] = "1";
        // It would ask git five or six times for a provenance that is not wanted of it.
        environment["BUILDX_GIT_INFO"] = "0";
        foreach (var (name, value) in configuration?.Environment ?? new Dictionary<string, string?>()) environment[name] = value;
        return new(
            program.Path,
            [.. program.First, .. arguments],
            context.WorkTree)
        { Environment = environment, InheritsEnvironment = false };
    }

    private IEnumerable<string> Arguments(
        EngineBuild build,
        IReadOnlyList<ImageReference> cacheFrom,
        IReadOnlyList<string> secrets,
        string idFile,
        ContextFolder files)
    {
        yield return "build";
        yield return "--builder=" + location.Builder;
        yield return "--progress=plain";
        // A plain image: provenance is ours to attach, beside the image and not inside an index.
        yield return "--provenance=false";
        yield return "--sbom=false";
        // Into the engine. Where that keeps layers packed (the containerd store), it unpacks them when a container wants them,
        // and
        // nobody here does; there an image's id is the digest of its manifest, which older ones of buildx do not tell unasked.
        yield return "--output=type=image,unpack=false,prefer-image-digest=true";
        yield return "--iidfile=" + idFile;
        yield return "--file=" + files.Dockerfile;
        if (build.Name is { } name) yield return "--tag=" + name;
        if (build.Target is { } target) yield return "--target=" + target;
        if (build.Platform is { } platform) yield return "--platform=" + platform;
        foreach (var (key, value) in build.Arguments.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            yield return $"--build-arg={key}={value}";
        foreach (var (key, value) in build.Labels.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            yield return $"--label={key}={value}";
        foreach (var secret in secrets) yield return secret;
        foreach (var source in cacheFrom) yield return $"--cache-from=type=registry,ref={source}";
        yield return "--cache-to=type=inline";
        yield return files.Folder;
    }

    /// <summary>
    /// What buildx says in its plain form: <c>#5 [2/3] RUN make</c>, <c>#5 0.123 output</c>, <c>#5 CACHED</c>, <c>ERROR: …</c>.
    /// </summary>
    internal sealed partial class BuildxProgress(Action<string> onLine)
    {
        private readonly Lock gate = new();
        private readonly Dictionary<string, string> instructions = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> imports = new(StringComparer.Ordinal);
        private readonly List<(string Source, string Why)> notImported = [];
        private readonly Queue<string> last = new();
        private string current = "";

        public string Instruction { get; private set; } = "";

        public string Error { get; private set; } = "";

        public int Steps => instructions.Count;

        public int Cached { get; private set; }

        /// <summary>Images whose layers could not be had, and why.</summary>
        public IReadOnlyList<(string Source, string Why)> NotImported => notImported;

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
                    else if (Import().Match(text) is { Success: true } import) imports[id] = import.Groups[1].Value;
                    else if (text == "CACHED") Cached++;
                    else if (text.StartsWith("ERROR: ", StringComparison.Ordinal)) Fail(id, text[7..]);
                    else if (Timed().Match(text) is { Success: true } output) Keep(id, output.Groups[1].Value);
                }
                else if (line.StartsWith("ERROR: ", StringComparison.Ordinal)) Error = line[7..];
                // What the runtime says in a command's place stands in the summary only.
                else if (Timed().Match(line) is { Success: true } summary
                    && summary.Groups[1].Value is var said
                    && !last.Contains(said))
                    last.Enqueue(said);
            }
        }

        private void Fail(string id, string why)
        {
            if (imports.TryGetValue(id, out var source)) notImported.Add((source, why));
            else if (instructions.TryGetValue(id, out var failed)) Instruction = failed;
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

        [GeneratedRegex(@"^importing cache manifest from (\S+)$")]
        private static partial Regex Import();

        [GeneratedRegex(@"^\d+\.\d+ (.*)$")]
        private static partial Regex Timed();
    }
}
