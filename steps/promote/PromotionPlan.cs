using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>What is known of one certified image.</summary>
/// <param name="Image">What certify handed over.</param>
/// <param name="Tagged">Digest behind its production tag now; null when there is none.</param>
/// <param name="TaggedIsNewer">Whether that digest was built from a commit that contains ours.</param>
/// <param name="TaggedCommit">The commit that it was built from; null when unknown.</param>
/// <param name="IsBarred">Whether a failed roll-out barred our digest.</param>
internal sealed record CertifiedFacts(CertifiedImage Image, string? Tagged, bool TaggedIsNewer, string? TaggedCommit,
    bool IsBarred);

/// <summary>What is known of one component in one target.</summary>
/// <param name="Wave">The wave's name.</param>
/// <param name="Target">The target.</param>
/// <param name="Component">The component.</param>
/// <param name="Live">What is there; null when nothing is.</param>
/// <param name="Fingerprint">Of the manifests that would be applied.</param>
internal sealed record DestinationFacts(string Wave, ProductionTarget Target, ComponentDefinition Component,
    LiveWorkload? Live, string Fingerprint)
{
    /// <summary>What was promoted there, newest first.</summary>
    public IReadOnlyList<HistoryEntry> History { get; init; } = [];

    /// <summary>What the workload lacks to be rolled out and serve; null when it does, or when it does not have our image
    /// anyway.</summary>
    public string? Missing { get; init; }

    /// <summary>Component and target, for people.</summary>
    public string Title => $"{Component.Name} in {Target.Name}";
}

/// <summary>One roll-out to do.</summary>
/// <param name="Destination">Where.</param>
/// <param name="Image">What.</param>
/// <param name="Previous">Digest that ran there before; null when nothing did.</param>
/// <param name="Drift">What somebody changed by hand; null when nobody did.</param>
internal sealed record PlannedRollout(DestinationFacts Destination, CertifiedImage Image, string? Previous, string? Drift)
{
    public override string ToString() => $"{Destination.Title} (wave {Destination.Wave}): "
        + (Destination.Live?.Digest == Image.Digest && Previous != Image.Digest
        ? $"go on with {ShortId.Of(Image.Digest)}, which {Destination.Missing ?? "was not seen to serve"}"
        : $"{(Previous is null ? "nothing" : ShortId.Of(Previous))} to " +
            $"{ShortId.Of(Image.Digest)}{(Previous == Image.Digest ? ", new manifests" : "")}");

}

/// <summary>What promote will do.</summary>
/// <param name="Rollouts">Roll-outs, wave by wave.</param>
/// <param name="Settled">Places that run the image already.</param>
/// <param name="Refusal">Why nothing may be done; null when it may.</param>
/// <param name="Superseded">Why nothing needs to be done: a newer commit is certified. Null otherwise.</param>
internal sealed record PromotionPlan(IReadOnlyList<PlannedRollout> Rollouts, IReadOnlyList<DestinationFacts> Settled,
    Refusal? Refusal, string? Superseded)
{
    /// <summary>Barred images that an earlier run did not take back to the end: that is finished before it is refused.</summary>
    public IReadOnlyList<CertifiedFacts> HalfBack { get; init; } = [];

    /// <summary>Images that an earlier run took back together with their tags: when they serve the tags follow again.</summary>
    public IReadOnlyList<CertifiedFacts> TagsBehind { get; init; } = [];

    /// <summary>Whether anything outside is written.</summary>
    public bool Writes => Rollouts.Count > 0 || HalfBack.Count > 0 || TagsBehind.Count > 0;

    /// <summary>The tag that bars a digest.</summary>
    public static string BarTag(string digest) => ImageName.BarredTag(digest);

    /// <summary>Decides about the images alone, before any cluster is asked. Null: go on.</summary>
    public static PromotionPlan? AboutImages(IReadOnlyList<CertifiedFacts> images, string? allowedBarred)
    {
        foreach (var facts in images)
        {
            // What is barred is refused in the end, but production may be half-way back from it.
            if (facts.Tagged == facts.Image.Digest || IsBarred(facts, allowedBarred)) continue;
            if (facts.TaggedIsNewer)
                return new PromotionPlan([], [], null,
                    $"superseded by {ShortId.OrUnknown(facts.TaggedCommit)}: the tag \"{facts.Image.ProductionTag}\" of " +
                    $"\"{facts.Image.Repository}\" points to its newer image {facts.Tagged}, which its own chain promotes");
            // An earlier run may have moved it back: the clusters' history tells.
            if (facts.Tagged != facts.Image.PreviousDigest) return TagMoved(facts);
        }
        return null;
    }

    /// <summary>Decides what has to move where. Pure.</summary>
    /// <param name="images">The images.</param>
    /// <param name="places">The places, in the order of the waves.</param>
    /// <param name="commit">The commit that the manifests are of.</param>
    /// <param name="allowedBarred">A barred digest that may be promoted all the same; null for none.</param>
    public static PromotionPlan For(IReadOnlyList<CertifiedFacts> images, IReadOnlyList<DestinationFacts> places,
        string commit, string? allowedBarred = null)
    {
        if (images.FirstOrDefault(facts => IsBarred(facts, allowedBarred)) is { } barred)
        {
            var half = images.Where(facts => IsBarred(facts, allowedBarred)
                && (facts.Tagged == facts.Image.Digest || ReturnPlan.For(facts.Image, Of(facts, places), commit,
                    isOwn: true).Returns.Any(back => back.IsNeeded))).ToList();
            return Refuse("barred", $"{barred.Image.Component} at {barred.Image.Digest} is barred: an earlier roll-out of it " +
                $"failed and was rolled back (tag \"{BarTag(barred.Image.Digest)}\" in \"{barred.Image.Repository}\"); fix the " +
                $"change, or allow this digest by name with --allow-barred {barred.Image.Digest}", Fault.Change) with
            {
                HalfBack = half
            };
        }
        var behind = images.Where(facts => facts.Tagged != facts.Image.Digest).ToList();
        if (behind.Find(facts => !Of(facts, places)
            .Any(place => WasTakenBack(place, facts.Image.Digest))) is { } moved) return TagMoved(moved);

        var moves = new List<PlannedRollout>();
        var settled = new List<DestinationFacts>();
        foreach (var place in places)
        {
            if (images.FirstOrDefault(facts => facts.Image.Component == place.Component.Name)?.Image is not { } image) continue;
            var live = place.Live;
            var drift = live is { Recorded: { } recorded, Digest: var digest } && digest != recorded
                ? $"{place.Component.Name} in {place.Target.Name} was promoted at {recorded} and runs " +
                    $"{digest ?? "an image without digest"}: somebody changed it by hand; " +
                    "that is what a rollback would go back to" : null;
            var isThere = live is not null && live.Digest == image.Digest && live.Recorded == image.Digest
                && live.Fingerprint == place.Fingerprint;
            var hasPassed = place.History.Count > 0 && place.History[0] is { IsGood: true } newest
                && newest.Digest == image.Digest;
            if (isThere && hasPassed && place.Missing is null) settled.Add(place);
            else moves.Add(new PlannedRollout(place, image, Previous(place, image, commit), drift));
        }
        return new PromotionPlan(moves, settled, null, null) { TagsBehind = behind };
    }

    private static IReadOnlyList<DestinationFacts> Of(CertifiedFacts facts, IReadOnlyList<DestinationFacts> places) =>
        [.. places.Where(place => place.Component.Name == facts.Image.Component)];

    // Our own way back moves the tags; a person who does so means something by it.
    private static bool WasTakenBack(DestinationFacts place, string digest) => place.History.Count > 0
        && place.History[0] is var newest
        && newest.IsAbout(digest) && (newest.IsWayBack || newest.Result == Results.Removed);

    private static bool IsBarred(CertifiedFacts facts, string? allowed) => facts.IsBarred && facts.Image.Digest != allowed;

    // What was there before: what an earlier run that did not end found, where our image is there already.
    private static string? Previous(DestinationFacts place, CertifiedImage image, string commit)
    {
        var live = place.Live?.Digest;
        if (place.Live is not null && live != image.Digest) return live;
        var ours = place.History.FirstOrDefault(entry => entry.IsAbout(image.Digest));
        return ours is null || ours.IsWayBack || ours.Commit != commit && ours.Commit.Length > 0 ? live : ours.Previous;
    }

    private static PromotionPlan TagMoved(CertifiedFacts facts)
    {
        var (image, tagged) = (facts.Image, facts.Tagged);
        return tagged is null
            ? Refuse("not-certified", $"the tag \"{image.ProductionTag}\" of \"{image.Repository}\" does not exist, although " +
                "certify handed it over; run certify again", Fault.World)
            : Refuse("tag-moved",
                $"the tag \"{image.ProductionTag}\" of \"{image.Repository}\" points to " +
                $"{tagged}{(facts.TaggedCommit is null ? "" : $" of commit {ShortId.OrUnknown(facts.TaggedCommit)}")}, not to " +
                $"{image.Digest} that certify handed over; somebody moved it back, " +
                "so certify again what should run", Fault.World);
    }

    private static PromotionPlan Refuse(string reason, string text, Fault fault) =>
        new([], [], new Refusal(reason, text, fault), null);
}
