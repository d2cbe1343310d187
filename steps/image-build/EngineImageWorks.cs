using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>The real engine and registry. The engine is looked for only when something has to be built.</summary>
internal sealed class EngineImageWorks : IImageWorks
{
    private static readonly TimeSpan[] ReadBackPauses = [
        TimeSpan.FromSeconds(1),
        TimeSpan.FromSeconds(2),
        TimeSpan.FromSeconds(4)
    ];
    private readonly StepContext context;
    private readonly ChainRun run;
    private readonly RegistryCredentials credentials;
    private readonly RegistryClient registry;
    private ContainerEngine? engine;
    private (ContainerEngine Engine, EngineKind Kind, string Platform)? known;
    private BuildxSearch? search;

    public EngineImageWorks(StepContext context, ChainRun run)
    {
        (this.context, this.run) = (context, run);
        var own = run.Policy.Registry;
        credentials = RegistryCredentials.Of(context, own.Push, own.Pull);
        registry = RegistryClient.Open(context, own.PlainHttp, own.Push, own.Pull);
    }

    public Task<TaggedImage?> FindAsync(ImageReference reference, CancellationToken cancel) =>
        TaggedImage.FindAsync(registry, reference, cancel);

    public async Task<int> PrepareAsync(ComponentDefinition component, CommandDefinition command, CancellationToken cancel)
    {
        using var commands = new ConfiguredCommands(context, context.Log, credentials,
            async stop => (await EngineAsync(stop)).Engine);
        return await commands.RunAsync(
            command, new((text, _) => context.Log.ProcessOutput(text)) { EndsWithThis = true }, cancel);
    }

    public async Task<IReadOnlyList<DockerfileSource>> ReadSourcesAsync(ComponentDefinition component, CancellationToken cancel)
    {
        var image = component.Image!;
        var text = BuildEnvironment.ReadDockerfile(context, image);
        var parameters = BuildEnvironment.ParametersOf(image);
        // The engine is asked only where a name depends on it.
        return DockerfileSources.Read(text, DockerfileSources.NeedPlatform(text, image.Dockerfile)
            ? parameters with { EnginePlatform = (await EngineAsync(cancel)).Platform } : parameters);
    }

    public async Task CheckAsync(ComponentDefinition component, CancellationToken cancel)
    {
        // What a pre-build command makes can be looked at only then.
        if (component.PreBuild is null || File.Exists(Path.Combine(context.WorkTree, component.Image!.Dockerfile)))
            _ = await SettingAsync(component, cancel);
    }

    public async Task<LocalBuild> BuildAsync(ImageOrder order, CancellationToken cancel)
    {
        var setting = await SettingAsync(order.Component, cancel);
        var (working, _, _) = await EngineAsync(cancel);
        try
        {
            return await new ComponentBuild(context, run, working, registry, credentials, order).RunAsync(setting, cancel);
        }
        catch (ImageBuildException failure) when (failure.Instruction.Length == 0 && setting.Builder.IsBuildx)
        {
            // That may be anybody's fault, buildx's too.
            if (await search!.WhyNotAsync(cancel) is not { Length: > 0 } why) throw;
            throw BuilderChoice.NotToBeHad(order.Component.Image!.Builder, why, search.Kind, failure);
        }
    }

    public async Task<(string Digest, bool IsOurs)> PublishAsync(ImageReference name, string id, CancellationToken cancel)
    {
        var (working, _, _) = await EngineAsync(cancel);
        var credential = await credentials.FindAsync(name.Host, cancel);
        for (var attempt = 1; ; attempt++)
        {
            // Read again before each write: somebody else may have been there, or an attempt that failed may have arrived.
            if (await registry.FindImageAsync(name, cancel) is { } there) return (there.Digest, there.KnownAs.Contains(id));
            try
            {
                var said = await working.PushAsync(
                    name, credential, far => context.Log.Progress($"pushing {name}: {far}"), cancel);
                var now = await ReadBackAsync(name, cancel);
                var isOurs = now.KnownAs.Contains(id);
                // The registry's word counts. An engine may name the image of one platform where the registry has an index, or
                // the other way round.
                if (isOurs && said is not null && !now.KnownAs.Contains(said))
                    context.Log.Warning(
                        $"the engine says that it pushed {said}, and the registry has {now.Digest} as \"{name}\", " +
                        "which is the image that was built");
                return (now.Digest, isOurs);
            }
            catch (Exception failure) when (attempt < PassingFailure.Attempts && PassingFailure.Reason(failure) is { } why)
            {
                await PassingFailure.PauseAsync(context, "push", attempt, why, cancel);
            }
            catch (ImagePushException failure)
            {
                throw Failure(failure, await credentials.AdviceAsync(name.Host, cancel));
            }
        }
    }

    // A registry of several machines may need a moment until all of them know a new tag.
    private async Task<RegistryImage> ReadBackAsync(ImageReference name, CancellationToken cancel)
    {
        foreach (var pause in ReadBackPauses)
        {
            if (await registry.FindImageAsync(name, cancel) is { } now) return now;
            await Task.Delay(pause, context.Time, cancel);
        }
        return await registry.FindImageAsync(name, cancel)
            ?? throw new UnavailableException("registry-protocol",
                $"the registry \"{name.Host}\" accepted \"{name}\" and says still that it is not there");
    }

    public async Task<bool> HasProvenanceAsync(ImageReference image, CancellationToken cancel)
    {
        var hasKey = context.FindSecret(Hosting.Evidence.Signing.SigningKey) is not null;
        var found = await Attestation.ReadAsync(registry, context, image, Hosting.Evidence.PredicateTypes.Provenance, cancel);
        return found.Any(one => one.IsSigned || !hasKey);
    }

    public Task<bool> ShareAsync(ImageReference image, ImageReference name, CancellationToken cancel) =>
        registry.ShareAsync(image, name, cancel);

    public Task AttachAsync(ImageReference image, byte[] statement, CancellationToken cancel) =>
        Attestation.AttachAsync(registry, context, image, Hosting.Evidence.PredicateTypes.Provenance, statement,
            cancel: cancel);

    public ValueTask DisposeAsync()
    {
        registry.Dispose();
        engine?.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<BuildEnvironment> SettingAsync(ComponentDefinition component, CancellationToken cancel)
    {
        var (working, kind, platform) = await EngineAsync(cancel);
        search ??= new BuildxSearch(context, working, kind);
        return await BuildEnvironment.OfAsync(context, component, working.Location, kind, platform, search, cancel);
    }

    private async Task<(ContainerEngine Engine, EngineKind Kind, string Platform)> EngineAsync(CancellationToken cancel)
    {
        if (known is { } there) return there;
        engine = await ContainerEngine.ConnectAsync(context, cancel);
        var sweeping = EngineLabels.SweepAsync(engine, context.Log, cancel);
        var naming = engine.IdentifyAsync(cancel);
        await Task.WhenAll(sweeping, naming);
        var (kind, platform) = await naming;
        var found = (engine, kind, platform);
        known = found;
        return found;
    }

    private static Exception Failure(ImagePushException failure, string advice) => failure.Kind switch
    {
        ImagePullFailure.Unauthorized => new UsageException($"{failure.Message}; {advice}", failure),
        ImagePullFailure.PlainHttp =>
            new UsageException(
                $"{failure.Message}; the engine pushes by plain HTTP only to registries under \"insecure-registries\" in its " +
                "daemon.json",
                failure),
        ImagePullFailure.InvalidName => new UsageException(failure.Message, failure),
        _ => new UnavailableException("registry-unreachable", $"{failure.Message}; see whether the registry is up", failure),
    };
}
