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
        if (await ActAsync(plan, finishing.Token) is { } stopped) return stopped;
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
        var production = await MovingAsync(release, ImageName.ProductionTag(component.Major), cancel);
        if (!image.Built)
            return new ReleaseFacts(
                image.Component,
                reference,
                false,
                null,
                release.Repository,
                false,
                null,
                VersionOf(production.Image?.Version ?? image.Tag),
                null,
                production,
                new MovingTag("latest", null, Ancestry.None));
        var version = ImageName.VersionTag(component.Major, run.Identity.BuildNumber);
        return new ReleaseFacts(image.Component, reference, true,
            await registry.FindAsync(reference, cancel),
            release.Repository,
            await registry.FindAsync(release.WithTag(ImageName.BarredTag(image.Digest)), cancel) is not null,
            evidence.LackOf(image, run.Policy),
            version,
            (await registry.FindAsync(release.WithTag(version), cancel))?.Digest,
            production,
            await MovingAsync(release, "latest", cancel));
    }

    private async Task<MovingTag> MovingAsync(ImageReference repository, string tag, CancellationToken cancel)
    {
        var image = await registry.FindAsync(repository.WithTag(tag), cancel);
        if (image is null) return new MovingTag(tag, null, Ancestry.None);
        // An image that does not say its commit may well be the newer one, and so may one of a commit that nobody here knows.
        if (image.Revision is not { } revision || await run.FindCommitAsync(revision, cancel) is null)
            return new MovingTag(tag, image, Ancestry.Unknown);
        var commit = run.Identity.Commit;
        return new MovingTag(tag, image, await run.IsAncestorAsync(revision, commit, cancel)
            ? Ancestry.Older
            : await run.IsAncestorAsync(commit, revision, cancel) ? Ancestry.Newer : Ancestry.Apart);
    }

    private async Task<Outcome?> ActAsync(CertifyPlan plan, CancellationToken cancel)
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
                        if (await WriteAsync(component.Facts, write, cancel) is { } stopped) return stopped;
                    }
                    catch (OperationCanceledException) when (cancel.IsCancellationRequested)
                    {
                        var before = written.Count == 0 ? "no tag was written before"
                            : $"written before: {string.Join(", ", written)}";
                        return Outcome.Cancelled($"stopped while \"{component.Facts.Image.Repository}:{write.Tag}\" was " +
                            $"written, which may be done or not; {before}; run certify again");
                    }
                    written.Add($"\"{component.Facts.Image.Repository}:{write.Tag}\"");
                }
            }
        }
        return null;
    }

    private async Task<Outcome?> WriteAsync(ReleaseFacts facts, TagWrite write, CancellationToken cancel)
    {
        var image = facts.Image;
        context.Log.Progress($"{facts.Component}: {write.Tag}");
        try
        {
            if (write.Moves)
            {
                await registry.MoveAsync(image, write.Tag, write.From, cancel);
                context.Log.Info(
                    $"{image.Repository}:{write.Tag} is {image.Digest}" + (write.From is null ? "" : $", was {write.From}"));
                return null;
            }
            var now = await registry.TagAsync(image, write.Tag, cancel);
            if (now == image.Digest)
            {
                context.Log.Info($"{image.Repository}:{write.Tag} is {image.Digest}");
                return null;
            }
            return Outcome.Refused("version-taken",
                $"the version tag \"{image.Repository}:{write.Tag}\" was taken by another image ({now}) at the same moment: " +
                "run the chain with a new build number");
        }
        catch (RegistryRefusalException refusal)
        {
            return Outcome.Refused(refusal.Code == "MOVED" ? "tag-moved" : "registry-refused",
                $"{refusal.Message}; certify runs one at a time per service: run it again");
        }
    }

    // The tags are written: from here on nothing changes the verdict, a stop as little as a registry that falls silent.
    private async Task<Outcome> EndAsync(
        CertifyPlan plan, ChainEvidence evidence, CertifyHandOver? earlier, CancellationToken cancel)
    {
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeForSummaries, context.Time, cancel);
        var certified = new List<CertifiedImage>();
        foreach (var component in plan.Components.Where(component => !component.IsSuperseded))
        {
            var facts = component.Facts;
            var before = component.Writes.FirstOrDefault(write => write.Tag == facts.Production.Tag);
            // A second run finds the tag moved: what it pointed to before is in the first run's evidence.
            var previous = before is not null ? before.From
                : earlier?.Images.FirstOrDefault(
                    image => image.Component == facts.Component && image.Digest == facts.Image.Digest)?.PreviousDigest;
            certified.Add(new CertifiedImage(facts.Component, facts.Image.Repository, facts.Image.Digest!, facts.VersionTag,
                facts.Production.Tag, previous));
            if (component.Writes.Count > 0) await AttachAsync(facts, evidence, finishing.Token);
        }
        var now = plan.Components.Where(component => component.Writes.Any(write => write.Moves)).ToList();
        var superseded = plan.Components.Where(component => component.Facts.Built && component.IsSuperseded).ToList();
        var text = now.Count > 0
            ? $"certified {string.Join(
                ", ", now.Select(component => $"{component.Facts.Component} {component.Facts.VersionTag}"))}"
            : superseded.Count > 0
                ? $"superseded: {string.Join(
                    ", ",
                    superseded.Select(
                        component =>
                            $"{component.Facts.Production.Tag} of {component.Facts.Component} points to a newer commit"))}"
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

    private async Task AttachAsync(ReleaseFacts facts, ChainEvidence evidence, CancellationToken cancel)
    {
        var statement = StatementJson.Write(PredicateTypes.VerificationSummary,
            Summary(evidence, $"{facts.Image.Repository}:{facts.VersionTag}"),
            Subject.Image(facts.Image.Repository, facts.Image.Digest!));
        try
        {
            await registry.AttachAsync(
                facts.Image,
                PredicateTypes.VerificationSummary,
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
