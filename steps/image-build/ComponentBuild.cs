using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>
/// One component's image on the engine: its bases first, by digest; earlier layers where the engine has none; then the build.
/// </summary>
internal sealed class ComponentBuild(
    StepContext context,
    ChainRun run,
    ContainerEngine engine,
    RegistryClient registry,
    RegistryCredentials credentials,
    ImageOrder order)
{
    private const int MostTagsLookedAt = 200;
    private readonly ImageDefinition image = order.Component.Image!;

    public async Task<LocalBuild> RunAsync(BuildEnvironment setting, CancellationToken cancel)
    {
        if (setting.Builder.WhyNot.Length > 0)
            context.Log.Info(
                $"{order.Component.Name}: built with the engine's own builder, not BuildKit ({setting.Builder.WhyNot})"
                    + (setting.Kind.IsPodman
                        ? ""
                        : $"; set image.builder to engine to keep it so, or {BuilderChoice.HowToInstall}"));
        var files = BuildContext.Open(
            Path.Combine(context.WorkTree, image.Context), Path.GetFullPath(Path.Combine(context.WorkTree, image.Dockerfile)));
        var sources = DockerfileSources.Read(setting.Text, setting.Parameters);
        // The engine's own builder leaves the front end out of account; then it is not part of the image.
        var pulling = PullBasesAsync(sources, setting, cancel);
        // All of it takes its time, and none waits for another.
        var looking = Task.Run(files.LookAhead, cancel);
        var naming = setting.Builder.IsBuildx ? CacheSourcesAsync(cancel) : Task.FromResult<IReadOnlyList<ImageReference>>([]);
        await Task.WhenAll(pulling, looking, naming);
        var (bases, resolved) = await pulling;
        var labels = order.Labels.ToDictionary();
        labels[ImageName.BasesLabel] = BaseImage.Write(bases);
        if (ComponentInputs.Of(run, order.Component, bases) is { } inputs) labels[ImageName.InputsLabel] = inputs;
        var build = new EngineBuild(files.Dockerfile)
        {
            Name = order.Name,
            Target = image.Target,
            Arguments = setting.Arguments,
            Labels = labels,
            Platform = image.Platform,
        };
        EngineBuildResult result;
        try
        {
            result = await BuildAsync(build, files, await naming, setting, cancel);
        }
        catch (ImageBuildException failure)
            when (BuildFaults.Find(
                failure,
                $"cannot build \"{order.Component.Name}\"",
                BuildFaults.FrontEndOf(setting.Text, image.Dockerfile)) is { } fault)
        {
            // The engine or builder says which registry did not let it in, and this side which credentials it had for it.
            if (fault.InnerException is ImagePullException { Kind: ImagePullFailure.Unauthorized } pull)
                throw await ToStepFailureAsync(pull, cancel);
            throw fault;
        }
        await Task.WhenAll(RequireSameBasesAsync(resolved, cancel), RequireResultAsync(result.Id, setting, cancel));
        return new LocalBuild(result.Id, bases, result.Cached, result.Steps);
    }

    private async Task<EngineBuildResult> BuildAsync(
        EngineBuild build,
        BuildContext files,
        IReadOnlyList<ImageReference> cacheFrom,
        BuildEnvironment setting,
        CancellationToken cancel)
    {
        if (setting.Builder.Program is { } program)
            return await new BuildxBuild(context, program, setting.Location, credentials)
                .RunAsync(build, files, cacheFrom, setting.Secrets, cancel);
        build = build with { CacheFrom = await PullCacheAsync(setting, cancel) };
        return setting.Kind.IsPodman || !EngineBuild.CanLabelAfterwards(build.Labels) ? await SendAsync(build, files, cancel)
            : await BuildThenLabelAsync(build, files, cancel);
    }

    // docker's own builder makes an instruction of each label that it is given with a build, and each takes as long as a small
    // RUN: all of them in one are added to the image when it is built.
    private async Task<EngineBuildResult> BuildThenLabelAsync(EngineBuild build, BuildContext files, CancellationToken cancel)
    {
        var plain = await SendAsync(build with { Name = null, Labels = new Dictionary<string, string>() }, files, cancel);
        var there = await engine.InspectImageAsync(plain.Id, cancel)
            ?? throw new UnavailableException("engine",
                $"the image of \"{order.Component.Name}\" was built as {plain.Id} and is not on the engine {engine.Location}");
        // A build on it would set its triggers off, and the image would be without them. The second time all comes from the
        // cache.
        if (there.Triggers.Count > 0) return plain with { Id = (await SendAsync(build, files, cancel)).Id };
        return plain with { Id = await engine.LabelAsync(plain.Id, build, cancel) };
    }

    private async Task<EngineBuildResult> SendAsync(EngineBuild build, BuildContext files, CancellationToken cancel)
    {
        EngineBuildResult? built = null;
        await files.StreamAsync(
            async stream => built = await engine.BuildAsync(build, stream, context.Log.ProcessOutput, cancel), cancel);
        return built!;
    }

    // Either builder takes what the engine has under a base's name at that moment, and the engine is not ours alone: whoever
    // pulls or tags meanwhile would have the provenance name another image than the one that was built on.
    private async Task RequireSameBasesAsync(Dictionary<string, string> resolved, CancellationToken cancel)
    {
        foreach (var (reference, id) in resolved)
        {
            var now = (await engine.InspectImageAsync(reference, cancel))?.Id;
            if (now == id) continue;
            throw new UnavailableException(
                "engine",
                $"the base image \"{reference}\" of \"{order.Component.Name}\" was {id} on the "
                    + $"engine {engine.Location}{(now is null ? " and was removed" : $" and became {now}")} while the image " +
                        "was built, so that nobody knows which one it was "
                    + "built on; nothing was pushed: run again");
        }
    }

    // The image has to be on this engine, and for the platform that was asked for.
    private async Task RequireResultAsync(string id, BuildEnvironment setting, CancellationToken cancel)
    {
        if (await engine.InspectImageAsync(id, cancel) is not { } built)
            throw new UnavailableException("engine",
                $"the image of \"{order.Component.Name}\" was built as {id} and is not on the engine {setting.Location}");
        if (image.Platform is { } platform && !BuildPlatform.AreSame(built.Platform, platform))
            throw new UsageException(
                $"ci-steps.yaml wants the image of \"{order.Component.Name}\" for \"{platform}\", " +
                $"and this engine built it for \"{built.Platform}\"; nothing was pushed: "
                    + $"take base images that have \"{platform}\", or mend image.platform");
    }

    // Bases as they are recorded; beside them the engine's own id of each that has it under its name.
    private async Task<(IReadOnlyList<BaseImage> Bases, Dictionary<string, string> Resolved)> PullBasesAsync(
        IReadOnlyList<DockerfileSource> sources, BuildEnvironment setting, CancellationToken cancel)
    {
        var bases = new List<BaseImage>();
        var resolved = new Dictionary<string, string>(StringComparer.Ordinal);
        var left = new Queue<DockerfileSource>(sources);
        while (left.TryDequeue(out var source))
        {
            if (source.Use == DockerfileUse.FrontEnd && !setting.Builder.IsBuildx) continue;
            var platform = source.Use == DockerfileUse.FrontEnd
                ? setting.Parameters.EnginePlatform!
                : source.Platform ?? setting.Platform;
            var (digest, local) = await PullAsync(source, platform, setting, cancel);
            if (source.Use == DockerfileUse.Base) setting.RequireKnownTriggers(source, local);
            if (!bases.Exists(known => known.Reference == source.Reference)) bases.Add(new BaseImage(source.Reference, digest));
            resolved.TryAdd(source.Reference, local.Id);
            if (source.IsFinalBase) await RequirePlatformAsync(source, digest, local, platform, setting, cancel);
            // What its triggers take from other images belongs to this build as well.
            if (source.Use == DockerfileUse.Base)
                foreach (var triggered in DockerfileSources.OfTriggers(local.Triggers, source.Line)) left.Enqueue(triggered);
        }
        return (bases, resolved);
    }

    private async Task<(string Digest, LocalImage Local)> PullAsync(
        DockerfileSource source, string platform, BuildEnvironment setting, CancellationToken cancel)
    {
        var name = ImageReference.Parse(source.Reference);
        context.Log.Progress($"{order.Component.Name}: pulling {name}");
        // Where nobody asks for a platform the engine knows best which one it means.
        var wanted = image.Platform is null && source.Platform is null ? null : platform;
        try
        {
            var pulled = await FetchAsync(name, source.Reference, wanted, cancel);
            return (pulled.IsSaid ? pulled.Digest : await DigestAsync(name, pulled.Local.Id, cancel), pulled.Local);
        }
        catch (ImagePullException failure) when (source.Use == DockerfileUse.FrontEnd)
        {
            throw FrontEndFailure(source, failure);
        }
        catch (ImagePullException failure)
        {
            // An image that was made on this machine is in no registry; one that was pulled before has its digest still.
            if (await engine.InspectImageAsync(source.Reference, cancel) is not { } local)
                throw await ToStepFailureAsync(failure, cancel);
            // What podman has of an image it packed itself may be a digest that no registry has.
            var known = setting.Kind.IsPodman
                ? null
                : local.Digests.FirstOrDefault(digest => digest.StartsWith(name.Repository + "@", StringComparison.Ordinal));
            context.Log.Warning(
                $"the base image \"{source.Reference}\" cannot be pulled ({failure.EngineText}); the one on this engine is used");
            return (known is null ? local.Id : known[(known.IndexOf('@', StringComparison.Ordinal) + 1)..], local);
        }
    }

    // What the engine pulled is known by its id: the registry's image under that name, if it is that one still.
    private async Task<string> DigestAsync(ImageReference name, string id, CancellationToken cancel)
    {
        var there = await registry.FindImageAsync(name, cancel);
        return there is not null && there.KnownAs.Contains(id) ? there.Digest
            : throw new UnavailableException(
                "registry-protocol",
                $"the engine pulled \"{name}\" as {id} without its digest, and the registry has "
                    + $"{there?.Digest ?? "nothing"} under that name now, which is another image; nothing was built: run again");
    }

    private async Task<PulledImage> FetchAsync(ImageReference name, string reference, string? platform, CancellationToken cancel)
    {
        var credential = await credentials.FindAsync(name.Host, cancel);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await engine.PullAsync(
                    reference, credential, far => context.Log.Progress($"pulling {name}: {far}"), platform, cancel);
            }
            catch (Exception failure) when (attempt < PassingFailure.Attempts && PassingFailure.Reason(failure) is { } why)
            {
                // One that is here already does for this build, and may be in no registry at all.
                if (failure is ImagePullException && await engine.InspectImageAsync(reference, cancel) is not null) throw;
                await PassingFailure.PauseAsync(context, "pull", attempt, why, cancel);
            }
        }
    }

    private async Task<Exception> ToStepFailureAsync(ImagePullException failure, CancellationToken cancel) =>
        failure.ToStepFailure(ImageReference.TryParse(failure.Reference, out var name, out _)
            ? await credentials.AdviceAsync(name.Host, cancel) : "");

    private Exception FrontEndFailure(DockerfileSource source, ImagePullException failure)
    {
        var what = $"{image.Dockerfile}:{source.Line}: the front end \"{source.Reference}\"";
        return failure.Kind is ImagePullFailure.NotFound or ImagePullFailure.InvalidName
            ? new UsageException($"{what} does not exist: {failure.EngineText}; mend the line \"# syntax=\"", failure)
            : EngineFaults.ToStepFailure(EngineFault.FrontEnd, what, failure.EngineText, failure);
    }

    // BuildKit would build on a base of any platform, and say in the image that it is the one that was asked for.
    private async Task RequirePlatformAsync(
        DockerfileSource source,
        string digest,
        LocalImage local,
        string platform,
        BuildEnvironment setting,
        CancellationToken cancel)
    {
        var place = $"{image.Dockerfile}:{source.Line}";
        if (image.Platform is { } wanted && !BuildPlatform.AreSame(platform, wanted))
            throw new UsageException(
                $"ci-steps.yaml wants the image of \"{order.Component.Name}\" for \"{wanted}\", " +
                $"and {place} builds it on \"{source.Reference}\" for \"{platform}\": "
                    + "take FROM --platform out of the last stage, or mend image.platform");
        if (BuildPlatform.AreSame(local.Platform, platform) || !ImageReference.IsDigest(digest)) return;
        // An engine that keeps images of several platforms under one name may show another one than the build takes.
        var reference = ImageReference.Parse(source.Reference);
        if (setting.KeepsSeveralPlatforms(local) && await OffersAsync(reference.WithDigest(digest), platform, cancel)) return;
        throw new UsageException(
            $"the image of \"{order.Component.Name}\" is to be for \"{platform}\", " +
            $"and its base image \"{source.Reference}\" ({place}) is for \"{local.Platform}\"; "
                + $"nothing was built: take a base image that has \"{platform}\", or mend image.platform in ci-steps.yaml");
    }

    private async Task<bool> OffersAsync(ImageReference reference, string platform, CancellationToken cancel) =>
        await registry.FindImageAsync(reference, cancel) is { } there
            && there.Platforms.Any(one => BuildPlatform.AreSame(one.Platform, platform));

    // Where the engine has built this component before, its own cache is the better one: naming sources would switch it off.
    private async Task<IReadOnlyList<string>> PullCacheAsync(BuildEnvironment setting, CancellationToken cancel)
    {
        // podman's builder takes no layers of an image that it is named.
        if (setting.Kind.IsPodman || context.Options.Get(ImageBuildCommand.NoCache)) return [];
        var own = await engine.ListImagesAsync(new Dictionary<string, string?>
        {
            [ImageName.TitleLabel] = order.Labels[ImageName.TitleLabel],
            [ImageName.SourceLabel] = order.Labels[ImageName.SourceLabel],
        }, cancel);
        if (own.Count > 0) return [];
        var pulled = new List<string>();
        foreach (var source in await CacheSourcesAsync(cancel))
        {
            try
            {
                context.Log.Progress($"{order.Component.Name}: pulling {source} for its layers");
                pulled.Add((await engine.PullAsync(source.ToString(), await credentials.FindAsync(source.Host, cancel),
                    far => context.Log.Progress($"pulling {source}: {far}"), cancel: cancel)).Id);
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
        if (context.Options.Get(ImageBuildCommand.NoCache)) return [];
        var repository = run.Repository;
        var tags = await registry.ListTagsAsync(order.Name, cancel);
        var nearest = tags.Where(tag => tag != order.Name.Tag).TakeLast(MostTagsLookedAt)
            .Select(tag => (Tag: tag, Commit: CommitOf(tag)))
            .Where(
                one => one.Commit is not null
                    && one.Commit != run.Identity.Commit
                    && repository.IsAncestor(one.Commit, run.Identity.Commit))
            .OrderByDescending(one => repository.CommitTime(one.Commit!))
                .Select(one => order.Name.WithTag(one.Tag))
                .FirstOrDefault();
        return nearest is null ? order.CacheFrom : [nearest, .. order.CacheFrom];
    }

    // "1.12-abcdef012345" names its commit; branches of others are unknown here, and no matter.
    private string? CommitOf(string tag)
    {
        var hash = tag[(tag.LastIndexOf('-') + 1)..];
        return hash.Length >= 7 && hash.All(char.IsAsciiHexDigit) ? run.Repository.FindCommit(hash) : null;
    }
}
