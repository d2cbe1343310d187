namespace CiSteps.Testbeds.Pool;

/// <summary>
/// How long holders have been silent, measured from when a sign of life was seen here: their clocks may be wrong, ours runs
/// evenly.
/// </summary>
internal sealed class HolderWatch(TimeProvider time)
{
    private readonly Dictionary<string, (string Sign, long Seen)> signs = new(StringComparer.Ordinal);

    /// <summary>Notes new signs of life.</summary>
    /// <returns>Silence by the claim's uid.</returns>
    public IReadOnlyDictionary<string, TimeSpan> Observe(IReadOnlyList<TestbedClaim> claims)
    {
        var silence = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        foreach (var claim in claims)
        {
            if (claim.Holder is null) continue;
            var sign = claim.Holder + " " + claim.RenewTime;
            if (!signs.TryGetValue(claim.Uid, out var known) || known.Sign != sign)
                signs[claim.Uid] = known = (sign, time.GetTimestamp());
            silence[claim.Uid] = time.GetElapsedTime(known.Seen);
        }
        foreach (var gone in signs.Keys.Where(uid => !silence.ContainsKey(uid)).ToList()) signs.Remove(gone);
        return silence;
    }
}
