using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>
/// What one image is built with: engine, builder, Dockerfile and secrets, all of it looked at before anything is built.
/// </summary>
/// <param name="Location">Engine that builds.</param>
/// <param name="Kind">Whose it is.</param>
/// <param name="Builder">BuildKit, or the engine's own builder.</param>
/// <param name="Text">The Dockerfile.</param>
/// <param name="Parameters">What the Dockerfile is read with.</param>
/// <param name="Secrets">Arguments for buildx, which hold names and paths only.</param>
internal sealed record BuildEnvironment(
    EngineLocation Location,
    EngineKind Kind,
    BuilderChoice Builder,
    string Text,
    DockerfileParameters Parameters,
    IReadOnlyList<string> Secrets)
{
    /// <summary>
    /// Build arguments: the image's own, and for the engine's own builder the proxies of docker's configuration. buildx finds
    /// those by itself, and nobody reads them in its command line.
    /// </summary>
    public required IReadOnlyDictionary<string, string> Arguments { get; init; }

    /// <summary>The platform that the image is for.</summary>
    public string Platform => Parameters.Platform ?? Parameters.EnginePlatform!;

    /// <summary>
    /// Whether a local image may stand for several platforms: its id is then the digest of a manifest or index, as the registry
    /// has it.
    /// </summary>
    public bool KeepsSeveralPlatforms(LocalImage image) =>
        !Kind.IsPodman && image.Digests.Any(digest => digest.EndsWith("@" + image.Id, StringComparison.Ordinal));

    /// <summary>Looks at all that a component's build needs.</summary>
    /// <exception cref="UsageException">Something is missing, or the builder does not know the Dockerfile's syntax.</exception>
    public static async Task<BuildEnvironment> OfAsync(
        StepContext context, ComponentDefinition component, EngineLocation location, EngineKind kind, string enginePlatform,
        BuildxSearch search, CancellationToken cancel)
    {
        var image = component.Image!;
        RefuseSecretArguments(context, component);
        var secrets = BuildSecrets.Find(context, component);
        var text = ReadDockerfile(context, image);
        var parameters = ParametersOf(image) with { EnginePlatform = enginePlatform };
        RefuseOtherPlatforms(component, enginePlatform);
        var builder = await BuilderChoice.OfAsync(image.Builder, search, cancel);
        if (builder.IsBuildx) RefuseForOldBuildKit(text, parameters, kind);
        else
        {
            RefuseForEngine(text, parameters, kind, builder);
            if (secrets.Count > 0)
                throw new UsageException(
                    $"\"{component.Name}\" has image.secrets or image.ssh, which the engine's own builder cannot hand to a " +
                    $"build{Because(builder)}: {Advice(kind, builder)}");
        }
        // A name that stays empty, a stage that is missing: known from the file alone.
        _ = DockerfileSources.Read(text, parameters);
        return new BuildEnvironment(location, kind, builder, text, parameters, secrets)
        {
            Arguments = ArgumentsOf(context, image, location, builder)
        };
    }

    /// <summary>A component's Dockerfile.</summary>
    /// <exception cref="UsageException">There is none, or it is not a file that can be read.</exception>
    public static string ReadDockerfile(StepContext context, ImageDefinition image)
    {
        var path = Path.GetFullPath(Path.Combine(context.WorkTree, image.Dockerfile));
        if (!File.Exists(path))
            throw new UsageException($"there is no Dockerfile \"{image.Dockerfile}\"; give image.dockerfile in ci-steps.yaml");
        return BuildContext.IsPlainFile(path)
            ? File.ReadAllText(path)
            : throw new UsageException(
                $"the Dockerfile \"{image.Dockerfile}\" is not a file that can be read; give image.dockerfile in ci-steps.yaml");
    }

    /// <summary>What a component's Dockerfile is read with, the engine's platform left open.</summary>
    public static DockerfileParameters ParametersOf(ImageDefinition image) =>
        new(image.Arguments) { Name = image.Dockerfile, Target = image.Target, Platform = image.Platform };

    // Build arguments stay readable in the image's history for ever.
    private static void RefuseSecretArguments(StepContext context, ComponentDefinition component)
    {
        foreach (var (name, value) in component.Image!.Arguments)
            if (context.Log.Mask.Apply(value) != value)
                throw new UsageException(
                    $"the build argument \"{name}\" of \"{component.Name}\" holds a secret, " +
                    "and build arguments stay readable in the image; hand it over in image.secrets instead");
    }

    // An image that says one platform and was made with the files of another. What agrees may stand: the engine's own builder
    // knows these names by nothing else.
    private static void RefuseOtherPlatforms(ComponentDefinition component, string enginePlatform)
    {
        var target = component.Image!.Platform ?? enginePlatform;
        foreach (var (name, value) in component.Image.Arguments)
            if (BuildPlatform.OtherThan(name, value, target, enginePlatform) is { } own)
                throw new UsageException(
                    $"the build argument \"{name}\" of \"{component.Name}\" is \"{value}\" in ci-steps.yaml, and builders set it "
                        + $"to \"{own}\" themselves: take it out of image.args, or set image.platform");
    }

    // For either builder the log learns the passwords in them.
    private static Dictionary<string, string> ArgumentsOf(
        StepContext context, ImageDefinition image, EngineLocation location, BuilderChoice builder)
    {
        var proxies = ProxyArguments.For(context.Options.Environment, location.Address, context.Log);
        var arguments = image.Arguments.ToDictionary(StringComparer.Ordinal);
        if (!builder.IsBuildx)
            foreach (var (name, value) in proxies) arguments.TryAdd(name, value);
        return arguments;
    }

    private static void RefuseForEngine(string text, DockerfileParameters parameters, EngineKind kind, BuilderChoice builder)
    {
        var unknown = BuildKitSyntax.OfEngine(text, parameters, kind);
        if (unknown.Count == 0) return;
        throw new UsageException(
            $"{List(unknown, parameters)}: {kind.Name}'s own builder does not know this, " +
            "and what it does not know it may leave out of the image without a word; "
                + $"nothing was built{Because(builder)}: " + $"{Advice(kind, builder)}, or write it without");
    }

    /// <summary>Refuses a base image whose triggers the engine's own builder does not know: they go off in this build.</summary>
    /// <param name="source">The base as the Dockerfile names it.</param>
    /// <param name="local">Image on the engine.</param>
    /// <exception cref="UsageException">There is such a trigger.</exception>
    public void RequireKnownTriggers(DockerfileSource source, LocalImage local)
    {
        if (Builder.IsBuildx) return;
        var unknown = BuildKitSyntax.OfTriggers(local.Triggers, local.Environment, Parameters, Kind);
        if (unknown.Count == 0) return;
        var triggers = string.Join(", ", unknown.Select(one => $"trigger {one.Line} \"ONBUILD {one.Construct}\""));
        throw new UsageException($"{Parameters.Name}:{source.Line} builds on \"{source.Reference}\", which has {triggers}: "
            + $"{Kind.Name}'s own builder does not know this, and what it does not know it may leave out of the image without a "
            + $"word; nothing was built{Because(Builder)}: {Advice(Kind, Builder)}, or take another base image");
    }

    // Where it was not looked for, it may well be there.
    private static string Advice(EngineKind kind, BuilderChoice builder) =>
        kind.IsPodman ? BuilderChoice.HowToGetBuildKit(kind)
        : builder.WhyNot.Length == 0 ? "set image.builder in ci-steps.yaml to auto or buildx (" + BuilderChoice.HowToInstall
            + " where that is missing)"
        : BuilderChoice.HowToGetBuildKit(kind);

    private static void RefuseForOldBuildKit(string text, DockerfileParameters parameters, EngineKind kind)
    {
        var unknown = BuildKitSyntax.OfOldBuildKit(text, parameters, kind);
        if (unknown.Count > 0)
            throw new UsageException(
                $"{List(unknown, parameters)}: the BuildKit inside an engine {kind.Major} does not know here-documents; " +
                "nothing was built: "
                    + "name a front end that does in the first line (# syntax=docker/dockerfile:1), or take a newer engine");
    }

    private static string List(IReadOnlyList<UnknownSyntax> unknown, DockerfileParameters parameters) =>
        string.Join(", ", unknown.Select(one => $"{parameters.Name}:{one.Line} \"{one.Construct}\""));

    private static string Because(BuilderChoice builder) =>
        builder.WhyNot.Length > 0 ? $" (buildx is not used: {builder.WhyNot})" : "";
}
