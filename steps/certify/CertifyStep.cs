using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Certify;

internal sealed class CertifyStep(StepContext context, ChainRun run, IReleaseRegistry registry)
{
    private static readonly TimeSpan TimeForTags = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan TimeForSummaries = TimeSpan.FromSeconds(8);
    private const int MostTurns = 5;

    private readonly Dictionary<string, TaggedImage> read = [];
    // By component: what its production tag pointed to just before it moved, and what came in before it could be moved.
    private readonly Dictionary<string, string?> moved = [];
    private readonly Dictionary<string, MovingTag> overtaken = [];

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        if (Unfit() is { } unfit) return unfit;
        var (evidence, refusal) = ChainEvidence.Read(context, "certified", context.Options.Get(CertifyCommand.RequireSigned));
        if (refusal is not null) return refusal;
        if (evidence!.Lack(run, new JudgingFile(run.Policy, run.Identity.PolicyCommit), null) is { } untested)
            return Outcome.Refused("no-evidence", $"the evidence does not show what \"{run.Policy.Branches.Target}\" asks for " +
                $"at {ShortId.Of(run.TargetTip)}: {untested}; run the chain for this commit", Fault.Environment);
        if (context.Options.Get(CertifyCommand.RequireSigned))
            foreach (var image in evidence!.Images.Images
                .Where(image => image.Built)
                .Select(image => ImageReference.Of(image.Repository, image.Digest)))
                if (ProvenanceCheck.LackOf(image, run.Identity.Commit, await registry.ProvenanceAsync(image, cancel)) is { } lack)
                    return Outcome.Refused("not-signed", lack, Fault.Environment);
        var facts = new List<ReleaseFacts>();
        foreach (var image in evidence!.Images.Images) facts.Add(await GatherAsync(image, evidence, cancel));
        var plan = CertifyPlan.For(run.Identity.Commit, facts, context.Options.Get(CertifyCommand.AllowOlder));
        context.Log.Info(plan.Text);
        if (plan.Refusal is { } no) return Outcome.Refused(no);
        if (context.DryRun) return Outcome.Done(plan.Text);
        var earlier = context.Evidence.TryRead("certify", out var own, out _)
            ? own.HandOverAs(HandOverJson.Default.CertifyHandOver)
            : null;
        cancel.ThrowIfCancellationRequested();
        // A few small writes: once the first is made a stop waits for the last, so that no version is half certified.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForTags, context.Time, cancel);
        if (await ActAsync(plan, evidence, earlier, finishing.Token, cancel) is { } stopped) return stopped;
        return await EndAsync(plan, evidence, earlier, cancel);
    }

    private Outcome? Unfit()
    {
        var identity = run.Identity;
        if (!identity.IsTargetBranch)
            return Outcome.Refused(
                "not-target-branch",
                $"\"{identity.Branch}\" is not the target branch \"{run.Policy.Branches.Target}\": " +
                "only what is merged is certified",
                Fault.Environment);
        return identity.Dirty
            ? Outcome.Refused(
                "dirty",
                "the work tree has changes that are not committed, so no image is from what is here; " +
                "run certify on a clean checkout",
                Fault.Environment) : null;
    }

    private async Task<ReleaseFacts> GatherAsync(BuiltImage image, ChainEvidence evidence, CancellationToken cancel)
    {
        var component = run.Change.Components.FirstOrDefault(one => one.Name == image.Component)
            ?? throw new UsageException(
                $"image-build handed over an image of \"{image.Component}\", which ci-steps.yaml does not have");
        var definition = run.Policy.Registry;
        var reference = ImageReference.Of(image.Repository, image.Digest);
        var release = ImageName.Repository(definition.Push, definition.BranchPrefix, image.Component, isDefaultBranch: true);
        context.Log.Progress($"reading {image.Component} from the registry {reference.Host}");
        var production = await MovingAsync(release, ImageName.ProductionTag(component.Major), image.Built ? image.Digest : null,
            cancel);
        if (!image.Built)
            return new ReleaseFacts(
                image.Component,
                reference,
                false,
                null,
                release.Repository,
                false,
                null,
                production.Image?.Version ?? VersionOf(image.Tag),
                null,
                production,
                new MovingTag("latest", null, Ancestry.None),
                []);
        var version = ImageName.VersionTag(component.Major, run.Identity.BuildNumber);
        var built = ImageName.BuildTag(component.Major, run.Identity.BuildNumber, run.Identity.ShortCommit);
        var certified = await registry.FindDigestAsync(release.WithTag(version), cancel);
        return new ReleaseFacts(image.Component, reference, true,
            await RegisteredAsync(reference, built, cancel),
            release.Repository,
            await registry.FindDigestAsync(release.WithTag(ImageName.BarredTag(image.Digest)), cancel) is not null,
            evidence.LackOf(image, run.Policy),
            version,
            certified,
            production,
            await MovingAsync(release, "latest", image.Digest, cancel),
            // An image without its version has not been here before.
            certified == image.Digest ? await registry.CertificatesAsync(reference, cancel) : []);
    }

    // The image's own tag names this commit and this build and is written once: one call, however many platforms there are.
    // An image without it is asked itself.
    private async Task<TaggedImage?> RegisteredAsync(ImageReference image, string built, CancellationToken cancel) =>
        await registry.FindDigestAsync(image.WithTag(built), cancel) == image.Digest
            ? new TaggedImage(image.Digest!, run.Identity.Commit, built)
            : await registry.FindAsync(image, cancel);

    private async Task<MovingTag> MovingAsync(ImageReference repository, string tag, string? ours, CancellationToken cancel)
    {
        if (await registry.FindDigestAsync(repository.WithTag(tag), cancel) is not { } digest)
            return new MovingTag(tag, null, Ancestry.None);
        if (digest == ours) return new MovingTag(tag, new TaggedImage(digest, run.Identity.Commit, null), Ancestry.Older);
        var image = await DescribeAsync(repository.WithDigest(digest), cancel);
        return new MovingTag(tag, image, await CompareAsync(image, cancel));
    }

    // Which commit and version: as certify wrote it beside the image, all of it alike; else as the image says itself.
    private async Task<TaggedImage> DescribeAsync(ImageReference image, CancellationToken cancel)
    {
        if (read.TryGetValue(image.ToString(), out var known)) return known;
        var said = await registry.CertificatesAsync(image, cancel);
        if (said.Count > 0 && said.All(one => one.Revision == said[0].Revision && one.Version == said[0].Version))
            known = new TaggedImage(image.Digest!, said[0].Revision, said[0].Version);
        else
            known = await registry.FindAsync(image, cancel) is { } found
                ? found with { Version = found.Version is { } tag ? VersionOf(tag) : null }
                : new TaggedImage(image.Digest!, null, null);
        return read[image.ToString()] = known;
    }

    private async Task<Ancestry> CompareAsync(TaggedImage image, CancellationToken cancel)
    {
        var commit = run.Identity.Commit;
        // An image that does not say its commit may well be the newer one, and so may one of a commit that nobody here knows.
        if (image.Revision is not { } revision) return Ancestry.Unknown;
        if (revision == commit)
        {
            var build = image.Version is { } version && version.IndexOf('.', StringComparison.Ordinal) is var dot and > 0
                ? version[(dot + 1)..] : "";
            return BuildNumbers.Compare(build, run.Identity.BuildNumber) switch
            {
                null => Ancestry.Unknown,
                > 0 => Ancestry.Newer,
                _ => Ancestry.Older,
            };
        }
        if (await run.FindCommitAsync(revision, cancel) is null) return Ancestry.Unknown;
        return await run.IsAncestorAsync(revision, commit, cancel)
            ? Ancestry.Older
            : await run.IsAncestorAsync(commit, revision, cancel) ? Ancestry.Newer : Ancestry.Apart;
    }

    private async Task<Outcome?> ActAsync(
        CertifyPlan plan,
        ChainEvidence evidence,
        CertifyHandOver? earlier,
        CancellationToken finish,
        CancellationToken cancel)
    {
        var written = new List<string>();
        // First what is written once, for all; then what moves: a failure in between leaves production as it was.
        foreach (var moves in new[] { false, true })
        {
            foreach (var component in plan.Components)
            {
                foreach (var write in component.Writes.Where(write => write.Moves == moves))
                {
                    try
                    {
                        if (await WriteAsync(component.Facts, write, finish) is { } stopped) return stopped;
                    }
                    catch (OperationCanceledException) when (finish.IsCancellationRequested)
                    {
                        var before = written.Count == 0 ? "no tag was written before"
                            : $"written before: {string.Join(", ", written)}";
                        return Outcome.Cancelled($"stopped while \"{component.Facts.Image.Repository}:{write.Tag}\" was " +
                            $"written, which may be done or not; {before}; run certify again");
                    }
                    written.Add($"\"{component.Facts.Image.Repository}:{write.Tag}\"");
                }
            }
            if (moves) continue;
            // Before production moves: killed after that, the next run finds here where production was.
            using var limit = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForSummaries, context.Time, cancel);
            foreach (var component in plan.Components.Where(component => component.IsSummaryLacking))
                await AttachAsync(component.Facts, component.Promoting is { } promoting ? promoting.From ?? Certificate.Nothing
                    : PreviousOf(component.Facts, earlier), evidence, limit.Token);
        }
        return null;
    }

    private async Task<Outcome?> WriteAsync(ReleaseFacts facts, TagWrite write, CancellationToken cancel)
    {
        var name = $"{facts.Image.Repository}:{write.Tag}";
        var isProduction = write.Tag == facts.Production.Tag;
        var from = write.From;
        context.Log.Progress($"{facts.Component}: {write.Tag}");
        for (var turn = 1; ; turn++)
        {
            try
            {
                await registry.MoveAsync(facts.Image, write.Tag, from, cancel);
                context.Log.Info($"{name} is {facts.Image.Digest}" + (from is null ? "" : $", was {from}"));
                if (isProduction) moved[facts.Component] = from;
                return null;
            }
            catch (RegistryRefusalException refusal) when (refusal.Code == BranchImages.Moved && !write.Moves)
            {
                return Outcome.Refused("version-taken",
                    $"the version tag \"{name}\" was taken by another image at the same moment ({refusal.Message}): " +
                    "run the chain with a new build number");
            }
            catch (RegistryRefusalException refusal) when (refusal.Code == BranchImages.Moved)
            {
                var now = await MovingAsync(facts.Image, write.Tag, facts.Image.Digest, cancel);
                if (now.Ancestry == Ancestry.Newer)
                {
                    context.Log.Info($"{name} stays: {CertifyPlan.Described(run.Identity.Commit, now.Image!)} came in between");
                    if (isProduction) overtaken[facts.Component] = now;
                    return null;
                }
                if (!isProduction && now.Ancestry is Ancestry.Apart or Ancestry.Unknown)
                {
                    context.Log.Warning($"\"{name}\" is not moved: {refusal.Message}");
                    return null;
                }
                // What is not known to be older is nobody's to replace: --allow-older was said of what was there before.
                if (turn == MostTurns || now.Ancestry is Ancestry.Apart or Ancestry.Unknown)
                    return Outcome.Refused(
                        "tag-moved", $"{refusal.Message}; certify runs one at a time per service: run it again");
                from = now.Image?.Digest;
            }
            catch (Exception refusal) when (refusal is RegistryRefusalException or UsageException && write.Moves && !isProduction)
            {
                // Deployments follow the production tag; a registry that keeps this one as it is keeps nobody from production.
                context.Log.Warning($"\"{name}\" is not moved: {refusal.Message}");
                return null;
            }
            catch (RegistryRefusalException refusal)
            {
                return Outcome.Refused("registry-refused", $"{refusal.Message}; see what the registry allows for this tag, " +
                    "and run certify again");
            }
        }
    }

    // The tags are written: from here on nothing changes the verdict, a stop as little as a registry that falls silent.
    private async Task<Outcome> EndAsync(
        CertifyPlan plan, ChainEvidence evidence, CertifyHandOver? earlier, CancellationToken cancel)
    {
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForSummaries, context.Time, cancel);
        var certified = new List<CertifiedImage>();
        bool IsSuperseded(Certification one) => one.IsSuperseded || overtaken.ContainsKey(one.Facts.Component);
        foreach (var component in plan.Components.Where(component => !IsSuperseded(component)))
        {
            var facts = component.Facts;
            var isMoved = moved.TryGetValue(facts.Component, out var from);
            var previous = isMoved ? from ?? Certificate.Nothing : PreviousOf(facts, earlier);
            if (previous is null && facts.Built)
                context.Log.Warning($"what \"{facts.Image.Repository}:{facts.Production.Tag}\" pointed to before is not known: " +
                    "neither the evidence nor the registry has it, so a roll-back cannot put it back");
            certified.Add(new CertifiedImage(facts.Component, facts.Image.Repository, facts.Image.Digest!, facts.VersionTag,
                facts.Production.Tag, previous == Certificate.Nothing ? null : previous));
            // An older image came in between: the next run is to find that one.
            if (isMoved && component.Promoting!.From != from) await AttachAsync(facts, previous, evidence, finishing.Token);
        }
        var now = plan.Components.Where(component => component.Writes.Any(write => write.Moves)
            && !IsSuperseded(component)).ToList();
        var superseded = plan.Components.Where(component => component.Facts.Built && IsSuperseded(component)).ToList();
        var text = now.Count > 0
            ? $"certified {string.Join(
                ", ", now.Select(component => $"{component.Facts.Component} {component.Facts.VersionTag}"))}"
            : superseded.Count > 0
                ? $"superseded: {string.Join(
                    ", ",
                    superseded.Select(
                        component =>
                            $"{component.Facts.Production.Tag} of {component.Facts.Component} points to " +
                            CertifyPlan.Described(run.Identity.Commit,
                                overtaken.GetValueOrDefault(component.Facts.Component, component.Facts.Production).Image!)))}"
            : plan.Components.Any(component => component.Facts.Built)
                ? $"certified already: {string.Join(
                    ", ",
                    plan.Components
                        .Where(component => component.Facts.Built)
                        .Select(component => $"{component.Facts.Component} {component.Facts.VersionTag}"))}"
            : "nothing to certify: no component changed";
        return Outcome.Done(text)
            .HandingOver(new CertifyHandOver(certified), HandOverJson.Default.CertifyHandOver)
            .Attesting(
                PredicateTypes.VerificationSummary,
                Summary(evidence, string.Join(' ', certified.Select(image => $"{image.Repository}@{image.Digest}"))),
                [.. certified.Select(image => Subject.Image(image.Repository, image.Digest))]);
    }

    // A second run finds the tag moved: what it pointed to before is in the first run's evidence, or beside the image. Null: it
    // is not known.
    private static string? PreviousOf(ReleaseFacts facts, CertifyHandOver? earlier) =>
        earlier?.Images.FirstOrDefault(image => image.Component == facts.Component && image.Digest == facts.Image.Digest)
            is { } own ? own.PreviousDigest ?? Certificate.Nothing : facts.Certificate?.Previous;

    private async Task AttachAsync(
        ReleaseFacts facts, string? previous, ChainEvidence evidence, CancellationToken cancel)
    {
        var statement = StatementJson.Write(PredicateTypes.VerificationSummary,
            Summary(evidence, $"{facts.Image.Repository}:{facts.VersionTag}"),
            Subject.Image(facts.Image.Repository, facts.Image.Digest!));
        try
        {
            await registry.AttachAsync(
                facts.Image,
                new Certificate(run.Identity.Commit, facts.VersionTag, previous, context.Time.GetUtcNow()),
                Encoding.UTF8.GetBytes(context.Log.Mask.Apply(statement.ToJsonString())),
                cancel);
        }
        catch (RegistryRefusalException refusal)
        {
            context.Log.Warning(
                $"the registry takes no summary beside the image ({refusal.Message}); the evidence folder has it");
        }
        catch (Exception failure) when (failure is UnavailableException or OperationCanceledException)
        {
            var why = failure is UnavailableException ? failure.Message : "stopped before the registry answered";
            context.Log.Warning($"the summary could not be put beside the image ({why}); the evidence folder has it");
        }
    }

    private JsonObject Summary(ChainEvidence evidence, string resource)
    {
        var inputs = new JsonArray();
        foreach (var statement in evidence.Statements)
            inputs.Add((JsonNode)new JsonObject
            {
                ["uri"] = $"{run.Identity.Chain}/{statement.Step}",
                ["digest"] = new JsonObject { ["sha256"] = statement.Sha256 }
            });
        return new JsonObject
        {
            ["verifier"] = new JsonObject
            {
                ["id"] = "https://cisteps.dev/certify",
                ["version"] = new JsonObject { ["ci-steps"] = StepHost.Version }
            },
            ["timeVerified"] = context.Time.GetUtcNow().ToString("O"),
            ["resourceUri"] = resource,
            ["policy"] = new JsonObject
            {
                ["uri"] = $"git+{run.Identity.Repository}#{context.Options.Get(StepCommand.PipelineFile)}",
                ["digest"] = new JsonObject { ["gitCommit"] = run.TargetTip },
            },
            ["inputAttestations"] = inputs,
            ["verificationResult"] = "PASSED",
            ["verifiedLevels"] = new JsonArray((JsonNode?)"SLSA_BUILD_LEVEL_1"),
            ["slsaVersion"] = "1.0",
        };
    }

    // "1.12-abc…" was certified as "1.12"; the certified image itself is known by its moving tag only.
    private static string VersionOf(string tag) => tag.LastIndexOf('-') is var dash and > 0 ? tag[..dash] : tag;
}
