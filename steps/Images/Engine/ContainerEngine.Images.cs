using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using CiSteps.Hosting;
using Docker.DotNet.Models;

namespace CiSteps.Images;

public sealed partial class ContainerEngine
{
    /// <summary>Pulls an image, whether or not it is there already.</summary>
    /// <param name="reference">Repository with tag or digest.</param>
    /// <param name="credential">Credentials for its registry; null: none.</param>
    /// <param name="progress">Told every few seconds how far it has come.</param>
    /// <param name="platform">Such as <c>linux/amd64</c>; null: the engine's.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="ImagePullException">It cannot be had; the exception says in which way.</exception>
    public async Task<PulledImage> PullAsync(
        string reference,
        RegistryCredential? credential = null,
        Action<string>? progress = null,
        string? platform = null,
        CancellationToken cancel = default)
    {
        if (!ImageReference.TryParse(reference, out var parsed, out var why))
            throw new ImagePullException(ImagePullFailure.InvalidName, reference, why);
        string? digest = null, error = null;
        var transfer = new TransferProgress(progress, TimeProvider.System);
        void Read(JSONMessage message)
        {
            if (message.Error is { } failure) error = failure.Message?.Trim();
            const string digestLine = "Digest: ";
            if (message.Status is not { } status) return;
            if (status.StartsWith(digestLine, StringComparison.Ordinal)) digest = status[digestLine.Length..].Trim();
            // Unpacking counts the same bytes once more; it is the download that people wait for.
            else if (status == "Downloading" && message.Progress is { } layer)
                transfer.Add(message.ID ?? "", layer.Current ?? 0, layer.Total ?? 0);
        }
        try
        {
            await WorkAsync(() => client.Images.CreateImageAsync(
                // Without a tag the engine would pull all there are.
                new ImagesCreateParameters { FromImage = parsed.Repository, Tag = parsed.TagOrDigest, Platform = platform },
                ToAuth(parsed.Host, credential), new Synchronous<JSONMessage>(Read), cancel),
                () => "",
                cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal)
        {
            throw new ImagePullException(ImagePullException.Classify(refusal.Message), reference, refusal.Message, refusal);
        }
        if (error is not null) throw new ImagePullException(ImagePullException.Classify(error), reference, error);
        var image = await InspectImageAsync(
            parsed.Digest is null ? $"{parsed.Repository}:{parsed.TagOrDigest}" : $"{parsed.Repository}@{parsed.Digest}",
            cancel).ConfigureAwait(false)
            ?? throw new ImagePullException(ImagePullFailure.Other, reference,
                "the engine says that it pulled the image and does not have it");
        digest ??= parsed.Digest;
        var isSaid = digest is not null;
        digest ??= image.Digests.Select(name => name[(name.IndexOf('@', StringComparison.Ordinal) + 1)..]).FirstOrDefault()
            ?? throw new ImagePullException(ImagePullFailure.Other, reference, "the engine told no digest");
        return new PulledImage(image.Id, digest, isSaid) { Local = image };
    }

    /// <summary>A local image; null when there is none of that reference or id.</summary>
    public async Task<LocalImage?> InspectImageAsync(string reference, CancellationToken cancel = default)
    {
        try
        {
            var image = await ReadAsync(() => client.Images.InspectImageAsync(reference, cancel), cancel).ConfigureAwait(false);
            var platform = $"{image.Os}/{image.Architecture}" + (string.IsNullOrEmpty(image.Variant) ? "" : "/" + image.Variant);
            return new LocalImage(image.ID, [.. image.RepoTags ?? []], [.. image.RepoDigests ?? []], platform,
                image.Created is { } created ? new DateTimeOffset(DateTime.SpecifyKind(created, DateTimeKind.Utc)) : null,
                image.Size,
                Copy(image.Config?.Labels),
                image.Config?.User ?? "",
                [.. image.Config?.Entrypoint ?? []],
                [.. image.Config?.Cmd ?? []],
                [.. image.Config?.Env ?? []],
                image.Config?.WorkingDir ?? "")
            {
                Triggers = [.. image.Config?.OnBuild ?? []],
            };
        }
        catch (EngineRefusalException refusal)
            when (refusal.IsAbsent || refusal.Message.Contains("invalid reference format", StringComparison.Ordinal))
        {
            return null;
        }
    }

    /// <summary>Gives a local image one more name.</summary>
    /// <exception cref="EngineRefusalException">There is no such image.</exception>
    public Task TagAsync(string image, ImageReference name, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        return CallAsync(
            () => client.Images.TagImageAsync(
                image, new ImageTagParameters { RepositoryName = name.Repository, Tag = name.Tag ?? "latest" }, cancel),
            cancel);
    }

    /// <summary>Makes an image of one layer from a tar archive (<c>docker import</c>).</summary>
    /// <param name="archive">The file system as tar.</param>
    /// <param name="reference">Name to give it.</param>
    /// <param name="changes">Dockerfile instructions to apply, such as <c>ENTRYPOINT ["/bin/app"]</c>.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>The image's id.</returns>
    public async Task<string> ImportImageAsync(
        Stream archive, ImageReference reference, IReadOnlyList<string>? changes = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        string? error = null;
        await CallAsync(() => client.Images.CreateImageAsync(
            // In one text: podman leaves a tag of its own out of account.
            new ImagesCreateParameters
            {
                FromSrc = "-",
                Repo = $"{reference.Repository}:{reference.Tag ?? "latest"}",
                Changes = [.. changes ?? []]
            },
            archive,
            new AuthConfig(),
            new Synchronous<JSONMessage>(message => error ??= message.Error?.Message),
            cancel), cancel).ConfigureAwait(false);
        if (error is not null) throw new EngineRefusalException(0, error);
        return (await InspectImageAsync(reference.ToString(), cancel).ConfigureAwait(false))?.Id
            ?? throw new EngineRefusalException(0, $"the engine says that it imported \"{reference}\" and does not have it");
    }

    /// <summary>Removes a name of an image, and the image with its last name; one that is gone is left alone.</summary>
    /// <exception cref="EngineRefusalException">A container uses it
    /// (<see cref="EngineRefusalException.IsConflict"/>).</exception>
    public Task RemoveImageAsync(string reference, bool force = false, CancellationToken cancel = default) =>
        IgnoreAbsentAsync(
            () => client.Images.DeleteImageAsync(reference, new ImageDeleteParameters { Force = force }, cancel), cancel);

    /// <summary>The local images with all of these labels (value null: any value).</summary>
    public async Task<IReadOnlyList<(string Id, IReadOnlyList<string> Tags, IReadOnlyDictionary<string, string> Labels)>>
        ListImagesAsync(IReadOnlyDictionary<string, string?> labels, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var found = await ReadAsync(
            () => client.Images.ListImagesAsync(new ImagesListParameters { Filters = LabelFilter(labels) }, cancel),
            cancel).ConfigureAwait(false);
        return [.. found.Select(
            image => (
                image.ID,
                (IReadOnlyList<string>)[.. image.RepoTags ?? []],
                (IReadOnlyDictionary<string, string>)Copy(image.Labels)))];
    }

    /// <summary>Builds an image with the engine's own builder.</summary>
    /// <param name="build">What to build.</param>
    /// <param name="context">The context as tar; read to its end.</param>
    /// <param name="onLine">Gets each line that the build says.</param>
    /// <param name="cancel">Stops the build.</param>
    /// <exception cref="ImageBuildException">The build failed: the instruction and its last lines are in the
    /// exception.</exception>
    public async Task<EngineBuildResult> BuildAsync(
        EngineBuild build, Stream context, Action<string> onLine, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(build);
        var progress = new BuildProgress(onLine, [.. build.Labels.Keys]);
        string? error = null, id = null;
        void Read(JSONMessage message)
        {
            if (message.Stream is { } text) progress.Add(text);
            else if (message.Status is { } status && message.Progress is null)
                progress.Add((message.ID is { Length: > 0 } layer ? $"{layer}: {status}" : status) + "\n");
            // podman ends it with a line break.
            if (message.Error is { } failure) error ??= failure.Message?.Trim();
            if (message.Aux?.ExtensionData is { } facts && facts.TryGetValue("ID", out var value)) id = value.ToString();
        }
        try
        {
            await WorkAsync(() => client.Images.BuildImageFromDockerfileAsync(new ImageBuildParameters
            {
                Dockerfile = build.Dockerfile,
                Tags = build.Name is null ? [] : [build.Name.ToString()],
                Target = build.Target!,
                BuildArgs = build.Arguments.ToDictionary(),
                Labels = build.Labels.ToDictionary(),
                Platform = build.Platform!,
                // The engine wants one JSON list here, the library would send one parameter per name.
                CacheFrom = build.CacheFrom.Count == 0
                    ? null!
                    : [JsonSerializer.Serialize([.. build.CacheFrom], EngineJson.Default.StringArray)],
                Remove = true,
                ForceRemove = true,
                // The engine's own builder: the other one needs a session that only docker's own client speaks.
                Version = "1",
            }, context, [], new Dictionary<string, string>(), new Synchronous<JSONMessage>(Read), cancel),
            () => "",
            cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal)
        {
            // A Dockerfile that cannot be read at all is refused before anything is said.
            error ??= refusal.Message;
        }
        progress.End();
        if (error is not null) throw new ImageBuildException(progress.Instruction, error, progress.LastLines);
        return id is not null ? new EngineBuildResult(id, progress.Steps, progress.Cached)
            : throw new UnavailableException("engine",
                "the container engine ended the build without an image and without saying why; see its own log");
    }

    /// <summary>Gives an image labels and a name, in one instruction of the engine's own builder.</summary>
    /// <param name="image">The image's id. It has no triggers, for this would set them off.</param>
    /// <param name="build">What it was built as: name, labels and platform.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>The new image's id.</returns>
    /// <exception cref="UnavailableException">The engine does not do it: the image was removed meanwhile, or its disk is
    /// full.</exception>
    public async Task<string> LabelAsync(string image, EngineBuild build, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(build);
        const string name = "Dockerfile";
        static string Quoted(string value) =>
            "\"" + value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("$", "\\$") + "\"";
        var labels = build.Labels.OrderBy(label => label.Key, StringComparer.Ordinal)
            .Select(label => $"{Quoted(label.Key)}={Quoted(label.Value)}");
        var archive = new ArrayBufferWriter<byte>();
        var text = Encoding.UTF8.GetBytes($"FROM {image}\nLABEL {string.Join(' ', labels)}\n");
        TarHeader.Write(archive, TarHeader.Regular, name, 0b110_100_100, text.Length, 0);
        archive.Write(text);
        TarHeader.Pad(archive, text.Length);
        TarHeader.End(archive);
        using var context = new MemoryStream(archive.WrittenSpan.ToArray());
        try
        {
            var order = new EngineBuild(name) { Name = build.Name, Platform = build.Platform };
            return (await BuildAsync(order, context, _ => { }, cancel).ConfigureAwait(false)).Id;
        }
        catch (ImageBuildException failure)
        {
            throw new UnavailableException(
                "engine", $"the image was built as {image} and cannot be given its labels: {failure.EngineText}", failure);
        }
    }

    /// <summary>Pushes a local image under its name.</summary>
    /// <param name="name">Repository and tag.</param>
    /// <param name="credential">Credentials for its registry; null: none.</param>
    /// <param name="progress">Told every few seconds how far it has come.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>
    /// The digest that the engine says it pushed; null when it says none, as podman does. It is not proof of what the registry
    /// has:
    /// ask that (<see cref="RegistryClient.FindImageAsync"/>).
    /// </returns>
    /// <exception cref="ImagePushException">It was not taken; the exception says in which way.</exception>
    public async Task<string?> PushAsync(
        ImageReference name,
        RegistryCredential? credential = null,
        Action<string>? progress = null,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        string? error = null, digest = null;
        var hasBegun = false;
        var transfer = new TransferProgress(progress, TimeProvider.System);
        void Read(JSONMessage message)
        {
            hasBegun = true;
            // podman ends it with a line break.
            if (message.Error is { } failure) error ??= failure.Message?.Trim();
            if (message.Aux?.ExtensionData is { } facts && facts.TryGetValue("Digest", out var value)) digest = value.ToString();
            // Without a message of its own, as the containerd store pushes: "1: digest: sha256:… size: 750".
            else if (message.Status is { } status && PushedLine().Match(status) is { Success: true } pushed)
                digest ??= pushed.Groups[1].Value;
            if (message is { Status: "Pushing", Progress: { } layer })
                transfer.Add(message.ID ?? "", layer.Current ?? 0, layer.Total ?? 0);
        }
        try
        {
            await WorkAsync(
                () => client.Images.PushImageAsync(name.Repository, new ImagePushParameters { Tag = name.Tag ?? "latest" },
                    ToAuth(name.Host, credential), new Synchronous<JSONMessage>(Read), cancel),
                () => hasBegun ? $"; \"{name}\" may be in the registry: run again, which finds out" : "",
                cancel).ConfigureAwait(false);
        }
        catch (EngineRefusalException refusal) when (refusal.Status >= 500
            && ImagePullException.Classify(refusal.Message) == ImagePullFailure.Other)
        {
            throw OwnError(refusal);
        }
        catch (EngineRefusalException refusal)
        {
            error ??= refusal.Message;
        }
        if (error is not null) throw new ImagePushException(ImagePullException.Classify(error), name.ToString(), error);
        return digest;
    }

    /// <summary>Which engine this is, docker's or podman's, whose builders know different Dockerfiles; and the platform of images
    /// that
    /// it builds without being told which.</summary>
    public async Task<(EngineKind Kind, string Platform)> IdentifyAsync(CancellationToken cancel = default)
    {
        var version = await ReadAsync(() => client.System.GetVersionAsync(cancel), cancel).ConfigureAwait(false);
        var isPodman = (version.Components ?? []).Any(
            part => part.Name?.Contains("podman", StringComparison.OrdinalIgnoreCase) is true);
        // Which ARM it is only the much larger answer says.
        var platform = version is { Os.Length: > 0, Arch: "amd64" or "arm64" } ? $"{version.Os}/{version.Arch}"
            : (await DescribeAsync(cancel).ConfigureAwait(false)).Platform;
        return (EngineKind.Of(version.Version ?? "", isPodman), platform);
    }

    [GeneratedRegex(@"digest: (sha256:[0-9a-f]{64})\b")]
    private static partial Regex PushedLine();

    // It answered a moment ago: to say that none answers would send people to where it is configured.
    private async Task WorkAsync(Func<Task> call, Func<string> more, CancellationToken cancel)
    {
        try
        {
            await AttemptAsync(call, cancel).ConfigureAwait(false);
        }
        // Said by what stands before an engine, or by one that is being stopped: never of what was asked for.
        catch (EngineRefusalException refusal) when (refusal.Status is 502 or 503 or 504)
        {
            throw OwnError(refusal);
        }
        catch (UnavailableException silence)
        {
            throw new UnavailableException(
                "engine", $"the container engine at {Location} went away while it worked: see its own log{more()}", silence);
        }
    }

    private static AuthConfig ToAuth(string host, RegistryCredential? credential) =>
        credential is null ? new AuthConfig() : new AuthConfig
        {
            Username = credential.User,
            Password = credential.Password,
            IdentityToken = credential.IdentityToken,
            ServerAddress = host == ImageReference.DockerHub ? "https://index.docker.io/v1/" : host,
        };
}

[JsonSerializable(typeof(string[]))]
internal sealed partial class EngineJson : JsonSerializerContext;
