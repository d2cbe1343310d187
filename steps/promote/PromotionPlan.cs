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
internal sealed record CertifiedFacts(CertifiedImage Image, string? Tagged, bool TaggedIsNewer, string? TaggedCommit, bool IsBarred);

/// <summary>What is known of one component in one target.</summary>
/// <param name="Wave">The wave's name.</param>
/// <param name="Target">Cluster, namespace and gate.</param>
/// <param name="Component">Its workload, by the change's file.</param>
/// <param name="Live">What is there; null when nothing is.</param>
/// <param name="Fingerprint">Of the manifests that would be applied.</param>
internal sealed record DestinationFacts(string Wave, ProductionTarget Target, ComponentDefinition Component, LiveWorkload? Live, string Fingerprint);

/// <summary>One roll-out to do.</summary>
/// <param name="Destination">Where.</param>
/// <param name="Image">What.</param>
/// <param name="Previous">Digest that runs there now; null when nothing does.</param>
/// <param name="Drift">What somebody changed by hand; null when nobody did.</param>
internal sealed record PlannedRollout(DestinationFacts Destination, CertifiedImage Image, string? Previous, string? Drift)
{
    public override string ToString() => $"{Destination.Component.Name} in {Destination.Target.Name} (wave {Destination.Wave}): {(Previous is null ? "nothing" : ShortId.Of(Previous))} to {ShortId.Of(Image.Digest)}{(Previous == Image.Digest ? ", new manifests" : "")}";
}

/// <summary>What promote will do.</summary>
/// <param name="Rollouts">Roll-outs, wave by wave.</param>
/// <param name="Settled">Places that run the image already.</param>
/// <param name="Refusal">Why nothing may be done; null when it may.</param>
/// <param name="Superseded">Why nothing needs to be done: a newer commit is certified. Null otherwise.</param>
internal sealed record PromotionPlan(IReadOnlyList<PlannedRollout> Rollouts, IReadOnlyList<DestinationFacts> Settled, Refusal? Refusal, string? Superseded)
{
    /// <summary>The tag that bars a digest.</summary>
    public static string BarTag(string digest) => ImageName.BarredTag(digest);

    /// <summary>Decides about the images alone, before any cluster is asked. Null: go on.</summary>
    public static PromotionPlan? AboutImages(IReadOnlyList<CertifiedFacts> images, string? allowedBarred)
    {
        foreach (var facts in images)
        {
            var image = facts.Image;
            if (facts.IsBarred && image.Digest != allowedBarred)
                return Refuse("barred", $"{image.Component} at {image.Digest} is barred: an earlier roll-out of it failed and was rolled back (tag \"{BarTag(image.Digest)}\" in \"{image.Repository}\"); fix the change, or allow this digest by name with --allow-barred {image.Digest}", Fault.Change);
            if (facts.Tagged is null)
                return Refuse("not-certified", $"the tag \"{image.ProductionTag}\" of \"{image.Repository}\" does not exist, although certify handed it over; run certify again", Fault.World);
            if (facts.Tagged == image.Digest) continue;
            if (facts.TaggedIsNewer)
                return new PromotionPlan([], [], null, $"superseded by {ShortId.OrUnknown(facts.TaggedCommit)}: the tag \"{image.ProductionTag}\" of \"{image.Repository}\" points to its newer image {facts.Tagged}, which its own chain promotes");
            return Refuse("tag-moved", $"the tag \"{image.ProductionTag}\" of \"{image.Repository}\" points to {facts.Tagged}{(facts.TaggedCommit is null ? "" : $" of commit {ShortId.OrUnknown(facts.TaggedCommit)}")}, not to {image.Digest} that certify handed over; somebody moved it back, so certify again what should run", Fault.World);
        }
        return null;
    }

    /// <summary>Decides what has to move where. Pure.</summary>
    public static PromotionPlan For(IReadOnlyList<CertifiedFacts> images, IReadOnlyList<DestinationFacts> places)
    {
        var moves = new List<PlannedRollout>();
        var settled = new List<DestinationFacts>();
        foreach (var place in places)
        {
            if (images.FirstOrDefault(facts => facts.Image.Component == place.Component.Name)?.Image is not { } image) continue;
            var live = place.Live;
            var drift = live is { Recorded: { } recorded, Digest: var digest } && digest != recorded
                ? $"{place.Component.Name} in {place.Target.Name} was promoted at {recorded} and runs {digest ?? "an image without digest"}: somebody changed it by hand; that is what a rollback would go back to" : null;
            if (live is not null && live.Digest == image.Digest && live.Recorded == image.Digest && live.Fingerprint == place.Fingerprint) settled.Add(place);
            else moves.Add(new PlannedRollout(place, image, live?.Digest, drift));
        }
        return new PromotionPlan(moves, settled, null, null);
    }

    private static PromotionPlan Refuse(string reason, string text, Fault fault) => new([], [], new Refusal(reason, text, fault), null);
}
