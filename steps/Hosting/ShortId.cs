namespace CiSteps.Hosting;

/// <summary>Commits and digests as people read them, in every message, tag, table and label: cut to 12 digits.</summary>
public static class ShortId
{
    private const int Digits = 12;

    /// <summary>A commit id cut to 12 digits; a digest keeps its algorithm in front (<c>sha256:0123456789ab</c>).</summary>
    /// <param name="id">A commit id or a digest; what is shorter comes back whole.</param>
    public static string Of(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        var length = id.IndexOf(':', StringComparison.Ordinal) + 1 + Digits;
        return id.Length > length ? id[..length] : id;
    }

    /// <summary>The same for a commit that may not be known.</summary>
    public static string OrUnknown(string? commit) => commit is null ? "an unknown commit" : Of(commit);
}
