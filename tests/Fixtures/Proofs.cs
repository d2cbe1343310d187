namespace CiSteps.Fixtures;

/// <summary>
/// Proofs that take minutes: every test run does a short form of them, and the whole where <c>CISTEPS_PROOFS</c> is
/// <c>whole</c>. CONTRIBUTING.md says what a whole run last said.
/// </summary>
public static class Proofs
{
    /// <summary>Whether all of each proof is done.</summary>
    public static bool AreWhole => Environment.GetEnvironmentVariable("CISTEPS_PROOFS") == "whole";

    /// <summary>How many of what a proof is made of.</summary>
    public static int Count(int brief, int whole) => AreWhole ? whole : brief;

    /// <summary>All cases, or in the short form the first of each kind.</summary>
    public static IReadOnlyList<T> Cases<T>(IEnumerable<T> all, Func<T, string> kind) =>
        AreWhole ? [.. all] : [.. all.DistinctBy(kind)];
}
