using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>A command to run in a container image with the work tree mounted.</summary>
/// <param name="Image">The image's reference.</param>
/// <param name="Run">Program and arguments; they replace the image's own.</param>
/// <param name="WorkTree">Absolute path of the work tree; it has the same path inside, so that paths in reports agree.</param>
internal sealed record ContainerCommand(string Image, IReadOnlyList<string> Run, string WorkTree)
{
    /// <summary>Working directory relative to the work tree.</summary>
    public string Folder { get; init; } = ".";

    /// <summary>Variables to set.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Labels of the container; see <see cref="EngineLabels.Of"/>.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Further binds, <c>host:container[:ro]</c>.</summary>
    public IReadOnlyList<string> Binds { get; init; } = [];

    /// <summary>A network's name, <c>host</c> or <c>none</c>; null: the engine's default.</summary>
    public string? Network { get; init; }
}

/// <summary>How a command in a container ended.</summary>
/// <param name="Exit">Its exit code.</param>
/// <param name="OutOfMemory">Whether the kernel ended it for want of memory.</param>
/// <param name="ImageId">The image that it really ran in.</param>
public sealed record CommandResult(int Exit, bool OutOfMemory, string ImageId);

/// <summary>
/// Runs commands in containers as if they ran here: the same files at the same path, the same user (nothing that belongs to root
/// stays behind), output line by line.
/// </summary>
internal sealed class CommandContainer(ContainerEngine engine, RegistryCredentials credentials, BuildLog log)
{
    /// <summary>Runs a command to its end; the container is removed in any case.</summary>
    /// <param name="command">Image, command line, environment and mounts.</param>
    /// <param name="onLine">Gets each line and whether it came from the error stream.</param>
    /// <param name="onOutput">Told of any output, also of a line that has not ended yet.</param>
    /// <param name="cancel">Kills the container with all that runs in it, then throws.</param>
    /// <exception cref="UsageException">The image cannot be had, the folder is missing, the command cannot be started, or the
    /// engine does not see this machine's files.</exception>
    /// <exception cref="UnavailableException">The engine or the image's registry does not answer, or the engine cannot run
    /// containers.</exception>
    public async Task<CommandResult> RunAsync(
        ContainerCommand command, Action<string, bool> onLine, Action? onOutput = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (command.Run.Count == 0) throw new UsageException($"there is nothing to run in the image \"{command.Image}\"");
        if (!engine.IsLocal)
        {
            throw new UsageException(
                $"the container engine at {engine.Location} is another machine's and does not see \"{command.WorkTree}\": "
                    + "commands in an image need an engine on the agent itself");
        }
        // The engine would make it, and it would be root's.
        if (!Directory.Exists(FolderOf(command)))
            throw new UsageException(
                $"there is no folder \"{command.Folder}\" in \"{command.WorkTree}\" to run \"{command.Run[0]}\" in; " +
                "mend \"folder\" in ci-steps.yaml");
        var image = await EnsureAsync(command.Image, cancel).ConfigureAwait(false);
        var description = await engine.DescribeAsync(cancel).ConfigureAwait(false);
        var id = await CreateAsync(command, image, description, cancel).ConfigureAwait(false);
        try
        {
            await engine.RunAttachedAsync(id, onLine, onOutput, cancel).ConfigureAwait(false);
            var exit = await engine.WaitContainerAsync(id, cancel).ConfigureAwait(false);
            var state = await engine.InspectContainerAsync(id, cancel).ConfigureAwait(false);
            return new CommandResult(exit, state?.OomKilled ?? false, image);
        }
        catch (EngineRefusalException refusal)
        {
            throw EngineFaults.ToStepFailure($"cannot run \"{command.Run[0]}\" in the image \"{command.Image}\"", refusal);
        }
        finally
        {
            // Also after cancellation: that is what ends everything in it.
            await engine.RemoveContainerAsync(id, cancel: CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task<string> CreateAsync(
        ContainerCommand command, string image, EngineDescription description, CancellationToken cancel)
    {
        var user = UserFor(description);
        var variables = command.Environment.ToDictionary(StringComparer.Ordinal);
        foreach (var (name, value) in ProxyArguments.For(credentials.Environment, engine.Location.Address, log))
            variables.TryAdd(name, value);
        // A user without an entry in the image's passwd has "/" as home, where it may not write.
        if (user is not (null or "0:0")) variables.TryAdd("HOME", "/tmp");
        var spec = new ContainerSpec(image)
        {
            // As on the agent itself: a relative path is looked up in the folder, whatever the engine's runtime makes of it.
            Entrypoint = [command.Run[0].Contains('/', StringComparison.Ordinal)
                ? Path.GetFullPath(Path.Combine(FolderOf(command), command.Run[0])) : command.Run[0]],
            Command = [.. command.Run.Skip(1)],
            Environment = [.. variables
                .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                .Select(pair => $"{pair.Key}={pair.Value}")],
            WorkingDirectory = FolderOf(command),
            Binds = [$"{command.WorkTree}:{command.WorkTree}", .. command.Binds],
            User = user,
            UserNamespace = description.SecurityOptions.Contains("name=userns") ? "host" : null,
            Labels = command.Labels,
            NetworkMode = command.Network,
        };
        try
        {
            return await engine.CreateContainerAsync(spec, cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal)
        {
            throw EngineFaults.ToStepFailure($"cannot make a container of the image \"{command.Image}\"", refusal);
        }
    }

    private static string FolderOf(ContainerCommand command) => Path.GetFullPath(Path.Combine(command.WorkTree, command.Folder));

    private async Task<string> EnsureAsync(string reference, CancellationToken cancel)
    {
        if (await engine.InspectImageAsync(reference, cancel).ConfigureAwait(false) is { } local) return local.Id;
        var parsed = ImageReference.Parse(reference);
        log.Progress($"pulling {reference}");
        try
        {
            return (await engine.PullAsync(reference, await credentials.FindAsync(parsed.Host, cancel).ConfigureAwait(false),
                far => log.Progress($"pulling {reference}: {far}"), cancel: cancel).ConfigureAwait(false)).Id;
        }
        catch (ImagePullException failure)
        {
            throw failure.ToStepFailure(await credentials.AdviceAsync(parsed.Host, cancel).ConfigureAwait(false));
        }
    }

    // As root in a rootless engine one is the user who runs the engine; elsewhere one has to say who one is.
    private static string? UserFor(EngineDescription description)
    {
        if (OperatingSystem.IsWindows()) return null;
        if (description.SecurityOptions.Contains("name=rootless")) return "0:0";
        const string status = "/proc/self/status";
        if (!File.Exists(status)) return null;
        string? Effective(string name) =>
            File
                .ReadLines(status)
                .FirstOrDefault(
                    line => line.StartsWith(name, StringComparison.Ordinal))?.Split(
                        '\t', StringSplitOptions.RemoveEmptyEntries)[2];
        return Effective("Uid:") is { } user && Effective("Gid:") is { } group ? $"{user}:{group}" : null;
    }
}
