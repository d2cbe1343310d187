using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Cli.Doctoring;

/// <summary>The registry: pulling, pushing where private branches push, tagging where releases are, and its clock.</summary>
internal sealed class RegistryChecks(StepContext context, PipelineDefinition pipeline)
{
    private static readonly TimeSpan LargestSkew = TimeSpan.FromSeconds(30);

    public async Task<IReadOnlyList<DoctorCheck>> AllAsync(CancellationToken cancel)
    {
        var registry = pipeline.Registry;
        var push = context.Options.Find(ChainRun.Registry) ?? registry.Push;
        if (pipeline.Components.FirstOrDefault(component => component.Image is not null) is not { } component)
            return [new("registry", null, "no component has an image")];
        var looks = new List<DoctorCheck>();
        try
        {
            using var client = RegistryClient.Open(context, registry.PlainHttp, push, registry.Pull);
            var released = ImageName.Repository(push, registry.BranchPrefix, component.Name, isDefaultBranch: true)
                .WithTag(ImageName.ProductionTag(component.Major));
            var digest = await client.FindDigestAsync(released, cancel);
            looks.Add(new("registry, pulling", true,
                $"{push} answers; {component.Name} " +
                    (digest is null ? "has no production tag yet" : $"is production ready at {ShortId.Of(digest)}")));
            looks.Add(Clock(client.ClockDifference));
            var branch = ImageName.Repository(push, registry.BranchPrefix, component.Name, isDefaultBranch: false);
            looks.Add(await PushAsync(client, branch) is { } noPush
                ? new("registry, pushing", false, noPush.Message, $"image-build pushes private branches' images to {branch}")
                : new("registry, pushing", true, $"may push to {branch}, as image-build does"));
            // Which side this is, a registry cannot say.
            looks.Add(await PushAsync(client, released) is { } noTag
                ? new(
                    "registry, tagging",
                    null,
                    noTag is UsageException ? $"this user may not push to {released.Repository}" : noTag.Message,
                    $"as it should be on the branch side; certify needs the right to push to {released.Repository}")
                : new("registry, tagging", true,
                    $"may push and tag {released.Repository}, as certify does; the branch side's user should not"));
            if (RegistryPair.Parse(push, registry.Pull).ToPull(released) is var pulled && pulled != released)
                looks.Add(await NodesAsync(client, pulled));
        }
        catch (Exception failure) when (DoctorCheck.IsFinding(failure))
        {
            looks.Add(DoctorCheck.Failed(looks.Count == 0 ? "registry" : "registry, pushing", failure));
        }
        return looks;

        async Task<Exception?> PushAsync(RegistryClient client, ImageReference repository)
        {
            try
            {
                await client.TryPushAsync(repository, cancel);
                return null;
            }
            catch (Exception failure) when (failure is UsageException or RegistryRefusalException)
            {
                return failure;
            }
        }

        async Task<DoctorCheck> NodesAsync(RegistryClient client, ImageReference image)
        {
            try
            {
                await client.FindDigestAsync(image, cancel);
                return new("registry of the nodes", true, $"{registry.Pull} answers from here too");
            }
            catch (Exception failure) when (DoctorCheck.IsFinding(failure))
            {
                return new("registry of the nodes", null, failure.Message,
                    "cluster nodes pull from there; it need not be reached from here");
            }
        }
    }

    private static DoctorCheck Clock(TimeSpan? difference)
    {
        if (difference is not { } found) return new("clock", null, "the registry tells no time");
        var skew = found.Duration();
        return new(
            "clock",
            skew <= LargestSkew,
            $"{skew.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s from the registry's",
            skew <= LargestSkew ? "" : "leases and certificates need a right clock: set up time synchronisation");
    }
}
