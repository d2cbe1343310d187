using CiSteps.Hosting.Evidence;

namespace CiSteps.Promote;

/// <summary>Where a place goes when its image is taken back.</summary>
internal enum ReturnKind
{
    /// <summary>Our image was not begun there, or it is taken back already.</summary>
    NotNeeded,

    /// <summary>An earlier version runs there again.</summary>
    ToEarlier,

    /// <summary>Nothing ran there before: the workload goes.</summary>
    ToNothing,

    /// <summary>What ran there before is not known: it stays as it is.</summary>
    Stays,
}

/// <summary>The way back of one place.</summary>
/// <param name="Place">Where.</param>
/// <param name="Kind">Where to.</param>
/// <param name="Digest">The earlier version; null when there is none.</param>
/// <param name="Written">The line of the history that says when it served; null when there is none.</param>
internal sealed record Return(DestinationFacts Place, ReturnKind Kind, string? Digest, HistoryEntry? Written)
{
    /// <summary>Whether there is anything to do or to say.</summary>
    public bool IsNeeded => Kind is not ReturnKind.NotNeeded;
}

/// <summary>How an image is taken back everywhere: what it began, in the opposite order. A digest that fails in one place is
/// wanted in none.</summary>
/// <param name="Returns">One per place, the last first.</param>
/// <param name="Bars">Whether the digest is barred.</param>
internal sealed record ReturnPlan(IReadOnlyList<Return> Returns, bool Bars)
{
    /// <summary>Decides the way back. Pure.</summary>
    /// <param name="image">The image to take back.</param>
    /// <param name="places">Its places as they are now, in the order of the waves.</param>
    /// <param name="commit">The commit that its manifests are of.</param>
    /// <param name="isOwn">Whether its own pods or its own gate said no.</param>
    /// <param name="to">The version that a person wants back; null: what ran before.</param>
    public static ReturnPlan For(CertifiedImage image, IReadOnlyList<DestinationFacts> places, string commit, bool isOwn,
        string? to = null)
    {
        var returns = places.Reverse().Select(place => Of(image, place, commit, to)).ToList();
        // The same image with earlier manifests is what runs then: it cannot be barred.
        return new ReturnPlan(returns, isOwn && !returns.Exists(back => back.Digest == image.Digest));
    }

    private static Return Of(CertifiedImage image, DestinationFacts place, string commit, string? to)
    {
        var bad = image.Digest;
        var newest = place.History.Count > 0 ? place.History[0] : null;
        var isUnderWay = newest is { IsUnderWay: true } && newest.IsAbout(bad);
        // Manifests alone are back when the last line says so, although the digest is the same.
        var isBack = newest is { IsUnderWay: false, IsWayBack: true } && newest.IsAbout(bad)
            && newest.Digest == place.Live?.Digest;
        if (to == bad) return new(place, ReturnKind.NotNeeded, null, null);
        if (!isUnderWay && (isBack || place.Live?.Digest != bad && place.Live?.Recorded != bad)) return new(place,
            ReturnKind.NotNeeded, null, null);

        var ours = place.History.FirstOrDefault(entry => entry.IsAbout(bad));
        var before = ours is null ? null : ours.IsWayBack ? ours.Digest : ours.Previous;
        if (before is "") before = null;
        before = to ?? before;
        var written = place.History.FirstOrDefault(entry => entry.IsGood && (before is null || before == bad
            ? entry.Digest != bad || entry.Commit != commit && entry.Commit.Length > 0
            : entry.Digest == before));
        if (before is not null && before != bad) return new(place, ReturnKind.ToEarlier, before, written);
        if (written is not null) return new(place, ReturnKind.ToEarlier, written.Digest, written);
        return new(place, ours is not null && before is null ? ReturnKind.ToNothing : ReturnKind.Stays, null, null);
    }
}
