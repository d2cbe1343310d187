using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>One component's image on the engine: its bases first, by digest; earlier layers where the engine has none; then the build.</summary>
internal sealed class ComponentBuild(StepContext context, ChainRun run, ContainerEngine engine, RegistryClient registry, RegistryCredentials credentials, ImageOrder order)
{
    private const int MostTagsLookedAt = 200;
    private readonly ImageDefinition image = order.Component.Image!;

    public async Task<LocalBuild> RunAsync(CancellationToken cancel)
    {
        RefuseSecrets();
        var dockerfile = Path.GetFullPath(Path.Combine(context.WorkTree, image.Dockerfile));
        var files = BuildContext.Open(Path.Combine(context.WorkTree, image.Context), dockerfile);
        var bases = await PullBasesAsync(await ReadSourcesAsync(context, image, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        var labels = order.Labels.ToDictionary();
        if (ComponentInputs.Of(run, order.Component, bases) is { } inputs) labels[ImageName.InputsLabel] = inputs;
        var build = new EngineBuild(files.Dockerfile)
        {
            Name = order.Name,
            Target = image.Target,
            Arguments = image.Arguments,
            Labels = labels,
            Platform = image.Platform,
        };
        EngineBuildResult result;
        if (image.Builder == "buildx")
        {
            result = await new BuildxBuild(context).RunAsync(build, files, await CacheSourcesAsync(cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        }
        else
        {
            build = build with { CacheFrom = await PullCacheAsync(cancel).ConfigureAwait(false) };
            EngineBuildResult? built = null;
            await files.StreamAsync(async stream => built = await engine.BuildAsync(build, stream, context.Log.Child, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
            result = built!;
        }
        if (image.Platform is { } platform) await RequirePlatformAsync(result.Id, platform, bases, cancel).ConfigureAwait(false);
        return new LocalBuild(result.Id, bases, result.Cached, result.Steps);
    }

    /// <summary>The outside images that a component is built on, as its Dockerfile names them.</summary>
    /// <exception cref="UsageException">There is no such Dockerfile.</exception>
    public static async Task<IReadOnlyList<string>> ReadSourcesAsync(StepContext context, ImageDefinition image, CancellationToken cancel)
    {
        var path = Path.GetFullPath(Path.Combine(context.WorkTree, image.Dockerfile));
        if (!File.Exists(path)) throw new UsageException($"there is no Dockerfile \"{image.Dockerfile}\"; give image.dockerfile in ci-steps.yaml");
        return DockerfileSources.Read(await File.ReadAllTextAsync(path, cancel).ConfigureAwait(false), image.Arguments, image.Target);
    }

    // Build arguments stay readable in the image's history for ever.
    private void RefuseSecrets()
    {
        foreach (var (name, value) in image.Arguments)
            if (context.Log.Mask.Apply(value) != value)
                throw new UsageException($"the build argument \"{name}\" of \"{order.Component.Name}\" holds a secret, and build arguments stay readable in the image; fetch what needs it in pre-build instead");
    }

    // Where a base image has no such platform, the engine's own builder takes the one that there is and says nothing.
    private async Task RequirePlatformAsync(string id, string platform, IReadOnlyList<BaseImage> bases, CancellationToken cancel)
    {
        if (await engine.InspectImageAsync(id, cancel).ConfigureAwait(false) is not { } built || IsOf(built.Platform, platform)) return;
        var from = bases.Count == 0 ? "" : $", as its base image{(bases.Count == 1 ? "" : "s")} {string.Join(", ", bases.Select(one => $"\"{one.Reference}\""))} give it";
        throw new UsageException($"ci-steps.yaml wants the image of \"{order.Component.Name}\" for \"{platform}\", and this engine built it for \"{built.Platform}\"{from}; nothing was pushed: take base images that have \"{platform}\", or mend image.platform");
    }

    // "linux/arm64" and "linux/arm64/v8" are one and the same: a variant counts only where both say it.
    private static bool IsOf(string built, string wanted)
    {
        var (mine, other) = (built.Split('/'), wanted.Split('/'));
        return mine.Zip(other).All(pair => pair.First.Equals(pair.Second, StringComparison.OrdinalIgnoreCase));
    }

    private async Task<IReadOnlyList<BaseImage>> PullBasesAsync(IReadOnlyList<string> references, CancellationToken cancel)
    {
        var bases = new List<BaseImage>();
        foreach (var reference in references)
        {
            var name = ImageReference.Parse(reference);
            context.Log.Progress($"{order.Component.Name}: pulling {name}");
            try
            {
                var pulled = await engine.PullAsync(reference, await credentials.FindAsync(name.Host, cancel).ConfigureAwait(false), far => context.Log.Progress($"pulling {name}: {far}"), image.Platform, cancel).ConfigureAwait(false);
                bases.Add(new BaseImage(reference, pulled.Digest));
            }
            catch (ImagePullException failure)
            {
                // An image that was made on this machine is in no registry; one that was pulled before has its digest still.
                if (await engine.InspectImageAsync(reference, cancel).ConfigureAwait(false) is not { } local) throw failure.ToStepFailure();
                var known = local.Digests.FirstOrDefault(digest => digest.StartsWith(name.Repository + "@", StringComparison.Ordinal));
                context.Log.Warning($"the base image \"{reference}\" cannot be pulled ({failure.EngineText}); the one on this engine is used");
                bases.Add(new BaseImage(reference, known is null ? local.Id : known[(known.IndexOf('@', StringComparison.Ordinal) + 1)..]));
            }
        }
        return bases;
    }

    // Where the engine has built this component before, its own cache is the better one: naming sources would switch it off.
    private async Task<IReadOnlyList<string>> PullCacheAsync(CancellationToken cancel)
    {
        if (context.Settings.Get(ImageBuildCommand.NoCache)) return [];
        var own = await engine.ListImagesAsync(new Dictionary<string, string?>
        {
            [ImageName.TitleLabel] = order.Labels[ImageName.TitleLabel],
            [ImageName.SourceLabel] = order.Labels[ImageName.SourceLabel],
        }, cancel).ConfigureAwait(false);
        if (own.Count > 0) return [];
        var pulled = new List<string>();
        foreach (var source in await CacheSourcesAsync(cancel).ConfigureAwait(false))
        {
            try
            {
                context.Log.Progress($"{order.Component.Name}: pulling {source} for its layers");
                pulled.Add((await engine.PullAsync(source.ToString(), await credentials.FindAsync(source.Host, cancel).ConfigureAwait(false),
                    far => context.Log.Progress($"pulling {source}: {far}"), cancel: cancel).ConfigureAwait(false)).Id);
            }
            catch (ImagePullException failure)
            {
                context.Log.Info($"no layers of {source}: {failure.EngineText}");
            }
        }
        return pulled;
    }

    // The nearest first: the image of the newest commit that this one comes from; then the certified one.
    private async Task<IReadOnlyList<ImageReference>> CacheSourcesAsync(CancellationToken cancel)
    {
        if (context.Settings.Get(ImageBuildCommand.NoCache)) return [];
        var repository = run.Repository;
        var tags = await registry.ListTagsAsync(order.Name, cancel).ConfigureAwait(false);
        var nearest = tags.Where(tag => tag != order.Name.Tag).TakeLast(MostTagsLookedAt)
            .Select(tag => (Tag: tag, Commit: CommitOf(tag)))
            .Where(one => one.Commit is not null && one.Commit != run.Identity.Commit && repository.IsAncestor(one.Commit, run.Identity.Commit))
            .OrderByDescending(one => repository.CommitTime(one.Commit!)).Select(one => order.Name.WithTag(one.Tag)).FirstOrDefault();
        return nearest is null ? order.CacheFrom : [nearest, .. order.CacheFrom];
    }

    // "1.12-abcdef012345" names its commit; branches of others are unknown here, and no matter.
    private string? CommitOf(string tag)
    {
        var hash = tag[(tag.LastIndexOf('-') + 1)..];
        return hash.Length >= 7 && hash.All(char.IsAsciiHexDigit) ? run.Repository.FindCommit(hash) : null;
    }
}
