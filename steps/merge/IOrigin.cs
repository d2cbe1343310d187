using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>The shared repository, as far as a merge needs it.</summary>
internal interface IOrigin
{
    /// <summary>Fetches branches and gives their tips now; null for one that is not there.</summary>
    Task<IReadOnlyList<string?>> FetchAsync(IReadOnlyList<string> branches, CancellationToken cancel);

    /// <summary>The commit whose release chain left a branch red; null when none did.</summary>
    Task<string?> RedAsync(string branch, CancellationToken cancel);

    /// <summary>Moves a branch from the expected tip to a commit that follows it, and only from there.</summary>
    Task<PushResult> PushAsync(string commit, string branch, string expectedTip, CancellationToken cancel);

    /// <summary>Removes a branch whose tip is still the expected one.</summary>
    Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel);
}
