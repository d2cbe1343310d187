using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.Certify;

/// <summary>How a tag's present commit stands to ours.</summary>
internal enum Ancestry
{
    /// <summary>The tag is absent.</summary>
    None,

    /// <summary>The same commit, or an ancestor of ours: moving the tag goes forward.</summary>
    Older,

    /// <summary>A descendant of ours.</summary>
    Newer,

    /// <summary>Neither; the branches went apart.</summary>
    Apart,

    /// <summary>The image does not say its commit, or neither this clone nor the origin's branch has it.</summary>
    Unknown,
}

/// <summary>A moving tag as it is.</summary>
/// <param name="Tag">Such as <c>latest</c> or <c>2-production</c>.</param>
/// <param name="Image">What it points to; null when it is absent.</param>
/// <param name="Ancestry">How that stands to our commit.</param>
internal sealed record MovingTag(string Tag, TaggedImage? Image, Ancestry Ancestry);

/// <summary>What is known about one component.</summary>
/// <param name="Component">Name in ci-steps.yaml.</param>
/// <param name="Image">Its image, by digest.</param>
/// <param name="Built">Whether this chain built it.</param>
/// <param name="Registered">What the registry knows under the digest; null: it is not there.</param>
/// <param name="ExpectedRepository">Release repository that the pipeline file gives it.</param>
/// <param name="IsBarred">Whether its digest was barred.</param>
/// <param name="Lack">What the evidence does not show; null when it shows all.</param>
/// <param name="VersionTag">The write-once tag.</param>
/// <param name="VersionDigest">What that points to; null when it is absent.</param>
/// <param name="Production">The tag that marks what is ready for production.</param>
/// <param name="Latest">The tag <c>latest</c>.</param>
internal sealed record ReleaseFacts(
    string Component,
    ImageReference Image,
    bool Built,
    TaggedImage? Registered,
    string ExpectedRepository,
    bool IsBarred,
    string? Lack,
    string VersionTag,
    string? VersionDigest,
    MovingTag Production,
    MovingTag Latest);

/// <summary>One write.</summary>
/// <param name="Tag">Name of the tag, in the release repository.</param>
/// <param name="Moves">Whether it may have pointed elsewhere before.</param>
/// <param name="From">What it points to now; null when it is absent.</param>
internal sealed record TagWrite(string Tag, bool Moves, string? From);

/// <summary>The decision for one component.</summary>
/// <param name="Facts">What it rests on.</param>
/// <param name="Refusal">Why it is not certified; null when it is certified.</param>
/// <param name="Writes">Tags to write, moving ones last.</param>
/// <param name="IsSuperseded">Whether production is ahead of us already.</param>
/// <param name="Text">The same for people.</param>
internal sealed record Certification(
    ReleaseFacts Facts,
    Refusal? Refusal,
    IReadOnlyList<TagWrite> Writes,
    bool IsSuperseded,
    string Text);

/// <summary>What certify does.</summary>
/// <param name="Components">One decision per component.</param>
internal sealed record CertifyPlan(IReadOnlyList<Certification> Components)
{
    /// <summary>The first refusal; null when there is none. With one, nothing at all is written.</summary>
    public Refusal? Refusal => Components.Select(component => component.Refusal).FirstOrDefault(refusal => refusal is not null);

    /// <summary>The decision for people, a line per component.</summary>
    public string Text =>
        Components.Count == 0 ? "no image to certify" : string.Join('\n', Components.Select(component => component.Text));

    public static CertifyPlan For(string commit, IReadOnlyList<ReleaseFacts> facts, bool allowOlder) =>
        new([.. facts.Select(one => Decide(commit, one, allowOlder))]);

    private static Certification Decide(string commit, ReleaseFacts facts, bool allowOlder)
    {
        if (!facts.Built) return Unchanged(facts);
        if (Refuse(commit, facts, allowOlder) is { } refusal) return new(facts, refusal, [], false, refusal.Text);
        var writes = new List<TagWrite>();
        if (facts.VersionDigest is null) writes.Add(new TagWrite(facts.VersionTag, Moves: false, null));
        // The tag that deployments follow is the very last one.
        var isBehind = facts.Production.Ancestry == Ancestry.Newer && !allowOlder;
        foreach (var moving in new[] { facts.Latest, facts.Production })
            if (moving.Image?.Digest != facts.Image.Digest
                && !isBehind
                && (allowOlder || moving.Ancestry is Ancestry.None or Ancestry.Older))
                writes.Add(new TagWrite(moving.Tag, Moves: true, moving.Image?.Digest));
        var name = $"{facts.Component}: {facts.Image}";
        return new(facts, null, writes, isBehind, isBehind
            ? $"{name} is superseded: {facts.Production.Tag} points to the newer commit " +
                $"{ShortId.OrUnknown(facts.Production.Image!.Revision)}" +
                (writes.Count > 0 ? $"; only {facts.VersionTag} is written" : "")
            : writes.Count == 0 ? $"{name} is certified already as {facts.VersionTag}, {facts.Production.Tag}"
            : $"{name}: " +
                string.Join(
                    ", ",
                    writes.Select(write => write.From is null ? $"write {write.Tag}" : $"move {write.Tag} from {write.From}")));
    }

    private static Certification Unchanged(ReleaseFacts facts)
    {
        var stands = facts.Production.Image?.Digest == facts.Image.Digest;
        return new(facts, null, [], !stands, stands
            ? $"{facts.Component}: unchanged, {facts.Production.Tag} stands ({facts.Image.Digest})"
            : $"{facts.Component}: unchanged here, {facts.Production.Tag} has moved on to " +
                $"{facts.Production.Image?.Digest ?? "nothing"} since");
    }

    private static Refusal? Refuse(string commit, ReleaseFacts facts, bool allowOlder)
    {
        if (facts.Lack is { } lack) return new("no-evidence", lack, Fault.Environment);
        if (facts.Image.Repository != facts.ExpectedRepository)
            return new(
                "not-released",
                $"\"{facts.Image}\" is not an image of the release repository \"{facts.ExpectedRepository}\": " +
                "run image-build on the target branch",
                Fault.Environment);
        if (facts.Registered is not { } registered)
            return new(
                "digest-missing", $"\"{facts.Image}\" is not in the registry (any more): run image-build again", Fault.World);
        if (registered.Revision != commit)
            return new(
                "other-commit",
                $"\"{facts.Image}\" says that it was built from {ShortId.OrUnknown(registered.Revision)}, " +
                $"not from {ShortId.OrUnknown(commit)}: run image-build for this commit",
                Fault.Environment);
        if (facts.IsBarred)
            return new(
                "barred",
                $"\"{facts.Image}\" was barred after a roll-back and must not be released again: fix the cause and build anew, " +
                $"or remove the tag \"{ImageName.BarredTag(facts.Image.Digest!)}\" from its repository",
                Fault.Change);
        if (facts.VersionDigest is { } taken && taken != facts.Image.Digest)
            return new(
                "version-taken",
                $"the version tag \"{facts.Image.Repository}:{facts.VersionTag}\" belongs to another image ({taken}) and is " +
                "never moved: run the chain with a new build number",
                Fault.Environment);
        if (facts.Production.Image is { } production && production.Digest != facts.Image.Digest && !allowOlder)
        {
            if (facts.Production.Ancestry == Ancestry.Apart)
                return new(
                    "history-rewritten",
                    $"\"{facts.Image.Repository}:{facts.Production.Tag}\" was built from " +
                    $"{ShortId.OrUnknown(production.Revision)}, which is not an ancestor of {ShortId.OrUnknown(commit)}: " +
                    "the target branch was rewritten; if that was meant, run certify with --allow-older",
                    Fault.Environment);
            if (facts.Production.Ancestry == Ancestry.Unknown)
                return new("unknown-commit", $"\"{facts.Image.Repository}:{facts.Production.Tag}\" was built from " +
                    $"{ShortId.OrUnknown(production.Revision)}, which neither this clone nor the target branch " +
                    $"has, so it may be newer than {ShortId.OrUnknown(commit)}: see what it is, and run certify " +
                    "with --allow-older if it may be replaced", Fault.Environment);
        }
        return null;
    }
}
