namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>Versions by preference: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name.</summary>
internal sealed class VersionOrder : IComparer<string>
{
    public static VersionOrder Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        var (a, b) = (Rank(x ?? ""), Rank(y ?? ""));
        var byRank = b.CompareTo(a);
        return byRank != 0 ? byRank : string.CompareOrdinal(x, y);
    }

    private static (int Stage, int Major, int Minor) Rank(string version)
    {
        if (version.Length < 2 || version[0] != 'v')
            return (0, 0, 0);
        var i = 1;
        while (i < version.Length && char.IsAsciiDigit(version[i]))
            i++;
        if (!int.TryParse(version.AsSpan(1, i - 1), out var major))
            return (0, 0, 0);
        var rest = version[i..];
        if (rest.Length == 0)
            return (3, major, 0);
        var stage = rest.StartsWith("beta", StringComparison.Ordinal)
            ? 2
            : rest.StartsWith("alpha", StringComparison.Ordinal) ? 1 : 0;
        return stage > 0 && int.TryParse(rest.AsSpan(stage == 2 ? 4 : 5), out var minor) ? (stage, major, minor) : (0, 0, 0);
    }
}
