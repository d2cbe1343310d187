using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

internal sealed class ImageBuildStep(StepContext context, ChainRun run, IImageWorks works)
{
    private static readonly TimeSpan TimeForProvenance = TimeSpan.FromSeconds(10);

    private readonly RegistryDefinition registry = run.Policy.Registry;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        if (await run.SupersededAsync(cancel) is { } superseded) return superseded;
        if (context.Evidence.TryRead("unit-test", out var tested, out _) && tested.Exit != ExitCode.Done)
            return Outcome.Refused("unit-test-failed",
                $"unit-test of this run did not pass ({tested.Text}); nothing is built from it");
        var facts = await GatherAsync(cancel);
        var plan = ImageBuildPlan.For(facts);
        // What is refused is said by the outcome, and only there.
        if (plan.Standing.Length > 0) context.Log.Info(plan.Standing);
        if (plan.Refusal.Length > 0) return Outcome.Refused("tag-taken", plan.Refusal);
        if (context.DryRun) return Outcome.Done(plan.Text);
        Workplace.Require(context);

        var started = context.Time.GetUtcNow();
        var images = new List<BuiltImage>();
        var provenance = new Provenance(context, run, started);
        // What can be refused is refused before the first image is built.
        foreach (var action in plan.Actions.Where(action => action.Act == ImageAct.Build))
            await works.CheckAsync(ComponentOf(action.Facts), cancel);
        foreach (var action in plan.Actions)
        {
            // Where nothing more is written, what is pushed already is the verdict.
            if (action.Act is ImageAct.Build or ImageAct.Reuse) cancel.ThrowIfCancellationRequested();
            var (image, outcome) = await ActAsync(action, provenance, cancel);
            if (outcome is not null) return outcome;
            if (image is not null) images.Add(image);
        }
        return End(images, provenance);
    }

    private async Task<ImageBuildFacts> GatherAsync(CancellationToken cancel)
    {
        var identity = run.Identity;
        var withImage = run.Change.Components.Where(component => component.Image is not null).ToList();
        context.Log.Progress($"reading {Count.Of(withImage.Count, "component")} from the registry {registry.Push}");
        var certified = new Dictionary<string, TaggedImage?>(StringComparer.Ordinal);
        foreach (var component in withImage) certified[component.Name] = await works.FindAsync(CertifiedName(component), cancel);
        var changes = await ChangesAsync(certified, cancel);
        var suites = await run.ChangedSuitesAsync(cancel);
        var facts = new List<ComponentFacts>();
        foreach (var component in withImage)
        {
            var (changed, reason) = changes.GetValueOrDefault(component.Name, (true, "unit-test does not know it"));
            var name = ImageName.Repository(registry.Push, registry.BranchPrefix, component.Name, identity.IsTargetBranch)
                .WithTag(ImageName.BuildTag(component.Major, identity.BuildNumber, identity.ShortCommit));
            var neededBy = run.Policy.Suites.FirstOrDefault(suite => suite.Covers(component.Name)
                && (suites.Contains(suite.Name)
                    || suite.Components.Any(other => changes.TryGetValue(other, out var beside) && beside.Changed)))?.Name;
            var builds = changed || (certified[component.Name] is null && neededBy is not null);
            facts.Add(new ComponentFacts(
                component.Name,
                changed,
                reason,
                name,
                builds ? await works.FindAsync(name, cancel) : null,
                CertifiedName(component),
                certified[component.Name],
                neededBy)
            {
                Inputs = builds ? await InputsAsync(component, certified[component.Name], cancel) : null,
            });
        }
        return new ImageBuildFacts(identity.Commit, identity.Dirty, facts);
    }

    // Only where it can lead somewhere: the certified image must say what it was built from.
    private async Task<string?> InputsAsync(ComponentDefinition component, TaggedImage? certified, CancellationToken cancel)
    {
        if (!context.Options.Get(ImageBuildCommand.Reuse) || certified?.Inputs is null) return null;
        var bases = new List<BaseImage>();
        foreach (var source in (await works.ReadSourcesAsync(component, cancel)).Select(source => source.Reference).Distinct())
        {
            if (await works.FindAsync(ImageReference.Parse(source), cancel) is not { } found) return null;
            bases.Add(new BaseImage(source, found.Digest));
        }
        return ComponentInputs.Of(run, component, bases);
    }

    // What unit-test found; worked out anew when there is no such evidence of this run. That is safe: certify wants the evidence
    // all the same.
    private async Task<Dictionary<string, (bool Changed, string Reason)>> ChangesAsync(Dictionary<string, TaggedImage?> certified,
        CancellationToken cancel)
    {
        if (context.Evidence.TryReadDone("unit-test", out var evidence, out var why))
            return evidence.RequiredHandOverAs(HandOverJson.Default.UnitTestHandOver)
                .Components.ToDictionary(component => component.Component, component => (component.Changed, component.Reason),
                    StringComparer.Ordinal);
        context.Log.Warning($"{why}; working out what changed from the repository");
        var commits = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var (component, image) in certified)
            commits[component] = run.Identity.IsTargetBranch && image?.Revision is { } revision
                ? await run.FindCommitAsync(revision, cancel) : null;
        var changes = await run.ChangesAsync(commits, cancel);
        return changes.ToDictionary(
            change => change.Component.Name, change => (change.Changed, change.Reason), StringComparer.Ordinal);
    }

    private async Task<(BuiltImage? Image, Outcome? Outcome)> ActAsync(
        ImageAction action, Provenance provenance, CancellationToken cancel)
    {
        var facts = action.Facts;
        switch (action.Act)
        {
            case ImageAct.UseCertified:
                // Its own tag, where its label tells it: that says which version it is.
                var certified = facts.Certified!;
                return (
                    Image(facts, facts.CertifiedName, certified.Digest, built: false) is var image
                        && ImageReference.IsTag(certified.Version)
                        ? image with { Tag = certified.Version! }
                        : image,
                    null);
            case ImageAct.Reuse:
                return await ReuseAsync(facts, cancel);
            case ImageAct.AlreadyDone:
                await CompleteAsync(facts, provenance, cancel);
                return (Image(facts, facts.Name, facts.Existing!.Digest, built: true), null);
            case ImageAct.Build:
                return await BuildAsync(facts, provenance, cancel);
            default:
                return (null, null);
        }
    }

    private async Task<(BuiltImage? Image, Outcome? Outcome)> ReuseAsync(ComponentFacts facts, CancellationToken cancel)
    {
        var certified = facts.CertifiedName.WithDigest(facts.Certified!.Digest);
        try
        {
            if (facts.Existing is not null || await works.ShareAsync(certified, facts.Name, cancel))
                return (Image(facts, facts.Name, certified.Digest!, built: false), null);
        }
        catch (RegistryRefusalException refusal)
        {
            return (null, Outcome.Refused("registry-refused", refusal.Message));
        }
        // Without the tag it is the same image all the same.
        context.Log.Info($"the registry cannot share {certified} with {facts.Name.Repository}; it is handed over where it is");
        return (Image(facts, facts.CertifiedName, certified.Digest!, built: false), null);
    }

    private async Task<(BuiltImage? Image, Outcome? Outcome)> BuildAsync(
        ComponentFacts facts, Provenance provenance, CancellationToken cancel)
    {
        var component = ComponentOf(facts);
        using var block = context.Log.Block($"image {facts.Name}");
        if (component.PreBuild is { } command)
        {
            context.Log.Progress($"{component.Name}: pre-build");
            var exit = await works.PrepareAsync(component, command, cancel);
            if (exit != 0)
                return (
                    null,
                    Outcome.Refused("pre-build-failed",
                        $"the pre-build command of \"{component.Name}\" ended with exit code {exit} " +
                        $"({string.Join(' ', command.Run)}); its output is above"));
        }
        var began = context.Time.GetTimestamp();
        context.Log.Progress($"{component.Name}: building {facts.Name}");
        LocalBuild build;
        try
        {
            build = await works.BuildAsync(
                new ImageOrder(component, facts.Name, Labels(component, facts.Name), CacheSources(facts)), cancel);
        }
        catch (ImageBuildException failure)
        {
            return (null, Failed(component, failure));
        }
        context.Log.Info(
            $"{component.Name}: built in {Hosting.Options.Durations.Show(context.Time.GetElapsedTime(began))}, " +
            $"{build.Cached} of {build.Instructions} instructions from the cache");
        context.Log.Statistic(
            $"image-build.{component.Name}.cached", build.Instructions == 0 ? 0 : 100.0 * build.Cached / build.Instructions);
        context.Log.Progress($"{component.Name}: pushing {facts.Name}");
        string digest;
        bool isOurs;
        try
        {
            (digest, isOurs) = await works.PublishAsync(facts.Name, build.Id, cancel);
        }
        catch (RegistryRefusalException refusal)
        {
            return (null, Outcome.Refused("registry-refused", refusal.Message));
        }
        if (!isOurs)
            return (
                null,
                Outcome.Refused("tag-taken",
                    $"the tag \"{facts.Name}\" was taken by another image ({digest}) at the same moment; " +
                    "an image's tag is never overwritten: run the chain with a new build number"));
        context.Log.Info($"{component.Name}: {facts.Name} is {digest}");
        provenance.Add(component, facts.Name, digest, build.Bases);
        if (!context.Options.Get(ImageBuildCommand.NoProvenance))
            await AttachAsync(facts.Name.WithDigest(digest), provenance.Statement(facts.Name, digest), cancel);
        return (Image(facts, facts.Name, digest, built: true), null);
    }

    // An earlier run was ended between its push and its statement, or could not make one: the image's own label says what it was
    // built on.
    private async Task CompleteAsync(ComponentFacts facts, Provenance provenance, CancellationToken cancel)
    {
        var (existing, component) = (facts.Existing!, ComponentOf(facts));
        if (BaseImage.Read(existing.Bases) is not { } bases)
        {
            context.Log.Warning(
                $"{facts.Name} does not say what it was built on: nothing is said of it in this run's provenance, " +
                "and none is attached");
            return;
        }
        provenance.Add(component, facts.Name, existing.Digest, bases);
        if (context.Options.Get(ImageBuildCommand.NoProvenance)) return;
        var image = facts.Name.WithDigest(existing.Digest);
        if (await works.HasProvenanceAsync(image, cancel)) return;
        context.Log.Info($"{component.Name}: {facts.Name} is without its provenance; it is attached now");
        await AttachAsync(image, provenance.Statement(facts.Name, existing.Digest), cancel);
    }

    private async Task AttachAsync(ImageReference image, byte[] statement, CancellationToken cancel)
    {
        // The image is pushed and known: a stop waits a moment for the statement beside it, and takes nothing back.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForProvenance, context.Time, cancel);
        try
        {
            await works.AttachAsync(image, statement, finishing.Token);
        }
        catch (OperationCanceledException) when (finishing.Token.IsCancellationRequested)
        {
            context.Log.Warning($"stopped before the registry took the provenance of {image}; " +
                "the next run of this build attaches it");
        }
        catch (RegistryRefusalException refusal)
        {
            context.Log.Warning(
                $"the registry takes no provenance beside the image ({refusal.Message}); the evidence folder has it");
        }
    }

    private ComponentDefinition ComponentOf(ComponentFacts facts) =>
        run.Change.Components.First(one => one.Name == facts.Component);

    private static Outcome Failed(ComponentDefinition component, ImageBuildException failure)
    {
        var last = failure.LastLines.Count == 0
            ? ""
            : "\nlast lines:\n" + string.Join('\n', failure.LastLines.Select(line => "  " + line));
        return Outcome.Refused("build-failed", failure.Instruction.Length == 0
            ? $"the image of \"{component.Name}\" ({component.Image!.Dockerfile}) could not be built: {failure.EngineText}{last}"
            : $"the image of \"{component.Name}\" ({component.Image!.Dockerfile}) failed at \"{failure.Instruction}\": " +
                $"{failure.EngineText}{last}");
    }

    private static Outcome End(List<BuiltImage> images, Provenance provenance)
    {
        var built = images.Where(image => image.Built).ToList();
        var text = built.Count == 0
            ? images.Count == 0
                ? "no image to build"
                : $"nothing to build: {Count.Of(images.Count, "certified image stands", "certified images stand")}"
            : $"built {string.Join(", ", built.Select(image => $"{image.Component} {image.Tag}"))}" +
                (images.Count > built.Count ? $"; {images.Count - built.Count} certified unchanged" : "");
        var outcome = Outcome.Done(text)
            .HandingOver(new ImageBuildHandOver(images), HandOverJson.Default.ImageBuildHandOver)
            .Attesting(
                PredicateTypes.Provenance,
                provenance.Predicate(),
                [.. images.Select(image => Subject.Image(image.Repository, image.Digest))]);
        return outcome;
    }

    private Dictionary<string, string> Labels(ComponentDefinition component, ImageReference name) => new(StringComparer.Ordinal)
    {
        [ImageName.RevisionLabel] = run.Identity.Commit,
        [ImageName.SourceLabel] = run.Identity.Repository,
        [ImageName.CreatedLabel] = run.Repository.CommitTime(run.Identity.Commit)
            .ToUniversalTime()
            .ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        [ImageName.VersionLabel] = name.Tag!,
        [ImageName.TitleLabel] = component.Name,
    };

    private static List<ImageReference> CacheSources(ComponentFacts facts) =>
        facts.Certified is { } certified ? [facts.CertifiedName.WithDigest(certified.Digest)] : [];

    private ImageReference CertifiedName(ComponentDefinition component) =>
        ImageName
            .Repository(registry.Push, registry.BranchPrefix, component.Name, isDefaultBranch: true)
            .WithTag(ImageName.ProductionTag(component.Major));

    private static BuiltImage Image(ComponentFacts facts, ImageReference name, string digest, bool built) =>
        new(facts.Component, name.Repository, name.Tag!, digest, built);
}
