using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>One component's image on the engine: its bases first, by digest; earlier layers where the engine has none; then the build.</summary>
internal sealed class ComponentBuild(StepContext context, ContainerEngine engine, RegistryCredentials credentials, ImageOrder order, ImageDefinition image)
{
    public async Task<LocalBuild> RunAsync(CancellationToken cancel)
    {
        RefuseSecrets();
        var dockerfile = Path.GetFullPath(Path.Combine(context.WorkTree, image.Dockerfile));
        var files = BuildContext.Open(Path.Combine(context.WorkTree, image.Context), dockerfile);
        var bases = await PullBasesAsync(DockerfileSources.Read(await File.ReadAllTextAsync(dockerfile, cancel).ConfigureAwait(false), image.Arguments, image.Target), cancel).ConfigureAwait(false);
        var build = new EngineBuild(files.Dockerfile)
        {
            Name = order.Name,
            Target = image.Target,
            Arguments = image.Arguments,
            Labels = order.Labels,
            Platform = image.Platform,
            CacheFrom = await PullCacheAsync(cancel).ConfigureAwait(false),
        };
        EngineBuildResult? result = null;
        await files.StreamAsync(async stream => result = await engine.BuildAsync(build, stream, context.Log.Child, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        return new LocalBuild(result!.Id, bases, result.Cached, result.Steps);
    }

    // Build arguments stay readable in the image's history for ever.
    private void RefuseSecrets()
    {
        foreach (var (name, value) in image.Arguments)
            if (context.Log.Mask.Apply(value) != value)
                throw new UsageException($"the build argument \"{name}\" of \"{order.Component.Name}\" holds a secret, and build arguments stay readable in the image; fetch what needs it in pre-build instead");
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
                var pulled = await engine.PullAsync(reference, await credentials.FindAsync(name.Host, cancel).ConfigureAwait(false), platform: image.Platform, cancel: cancel).ConfigureAwait(false);
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
        if (order.CacheFrom.Count == 0 || context.Settings.Get(ImageBuildCommand.NoCache)) return [];
        var own = await engine.ListImagesAsync(new Dictionary<string, string?>
        {
            [ImageName.TitleLabel] = order.Labels[ImageName.TitleLabel],
            [ImageName.SourceLabel] = order.Labels[ImageName.SourceLabel],
        }, cancel).ConfigureAwait(false);
        if (own.Count > 0) return [];
        var pulled = new List<string>();
        foreach (var source in order.CacheFrom)
        {
            try
            {
                context.Log.Progress($"{order.Component.Name}: pulling {source} for its layers");
                pulled.Add((await engine.PullAsync(source.ToString(), await credentials.FindAsync(source.Host, cancel).ConfigureAwait(false), cancel: cancel).ConfigureAwait(false)).Id);
            }
            catch (ImagePullException failure)
            {
                context.Log.Info($"no layers of {source}: {failure.EngineText}");
            }
        }
        return pulled;
    }
}
