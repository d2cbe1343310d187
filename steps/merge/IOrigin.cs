using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>The shared repository, as far as a merge needs it.</summary>
internal interface IOrigin
{
    /// <summary>A branch's tip now; null when there is no such branch.</summary>
    Task<string?> TipOfAsync(string branch, CancellationToken cancel);

    /// <summary>Fetches a branch and gives its tip; null when there is no such branch.</summary>
    Task<string?> FetchAsync(string branch, CancellationToken cancel);

    /// <summary>Moves a branch forward to a commit, without force.</summary>
    Task<PushResult> PushAsync(string commit, string branch, CancellationToken cancel);

    /// <summary>Removes a branch whose tip is still the expected one.</summary>
    Task<PushResult> DeleteAsync(string branch, string expectedTip, CancellationToken cancel);
}
