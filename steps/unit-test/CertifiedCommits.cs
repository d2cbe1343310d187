using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Reads the commit from the label of the image that the production tag points to.</summary>
internal sealed class CertifiedCommits(StepContext context, ChainRun run) : ICertifiedCommits
{
    public async Task<(string? Commit, string Why)> FindAsync(string component, int major, CancellationToken cancel)
    {
        var registry = run.Policy.Registry;
        var reference = ImageName
            .Repository(registry.Push, registry.BranchPrefix, component, isDefaultBranch: true)
            .WithTag(ImageName.ProductionTag(major));
        RegistryImage? image;
        try
        {
            using var client = RegistryClient.Open(context, registry.PlainHttp, registry.Push);
            image = await client.FindImageAsync(reference, cancel);
        }
        catch (Exception failure) when (failure is UnavailableException or UsageException)
        {
            // Without an answer more is tested than need be, which is safe.
            return (null, $"the last certified commit is not known: {failure.Message}");
        }
        if (image is null) return (null, $"\"{reference}\" does not exist yet");
        if (image.Label(ImageName.RevisionLabel) is not { Length: > 0 } revision)
            return (null, $"\"{reference}\" has no label {ImageName.RevisionLabel}");
        if (await run.FindCommitAsync(revision, cancel) is not { } commit) return (null,
            $"neither this clone nor the target branch has the certified commit {revision}");
        return (commit, $"certified at {ShortId.Of(commit)}");
    }
}
