namespace CiSteps.UnitTest;

/// <summary>Knows from which commit a component's certified image was built.</summary>
internal interface ICertifiedCommits
{
    /// <summary>The commit's full id, when it is in this clone; else null with the reason in a few words.</summary>
    Task<(string? Commit, string Why)> FindAsync(string component, int major, CancellationToken cancel);
}
