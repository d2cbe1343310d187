using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>An image could not be had; the reason is the waiting reason of the container.</summary>
internal sealed class ImageException(string reason, string message) : Exception(message)
{
    /// <summary>ErrImagePull, ErrImageNeverPull, InvalidImageName or RegistryUnavailable.</summary>
    public string Reason { get; } = reason;
}

/// <summary>Brings a container's image to the engine, by its pull policy.</summary>
internal sealed class ImagePuller(KubeletContext context, JsonObject pod)
{
    /// <summary>The image, pulled where the policy says so. Throws <see cref="ImageException"/>.</summary>
    public async Task<ImageFacts> EnsureAsync(ContainerRun run, string fieldPath, string node, CancellationToken ct)
    {
        var name = ImageName.Parse(run.ImageText);
        if (name is null)
        {
            var text =
                $"Failed to apply default image tag \"{run.ImageText}\": couldn't parse image name \"{run.ImageText}\": " +
                "invalid reference format";
            context.Events.Warning(pod, "InspectFailed", text, fieldPath, node);
            throw new ImageException("InvalidImageName", text);
        }

        var policy = run.Spec.Str("imagePullPolicy") ?? (name.Tag == "latest" && name.Digest is null ? "Always" : "IfNotPresent");
        if (policy != "Always")
        {
            if (await context.Runtime.FindImageAsync(name.Full, ct).ConfigureAwait(false) is { } present)
            {
                context.Events.Normal(
                    pod, "Pulled", $"Container image \"{run.ImageText}\" already present on machine", fieldPath, node);
                return present;
            }

            if (policy == "Never")
            {
                var text = $"Container image \"{run.ImageText}\" is not present with pull policy of Never";
                context.Events.Warning(pod, "ErrImageNeverPull", text, fieldPath, node);
                throw new ImageException("ErrImageNeverPull", text);
            }
        }

        context.Events.Normal(pod, "Pulling", $"Pulling image \"{run.ImageText}\"", fieldPath, node);
        var started = context.Time.GetTimestamp();
        await PullAsync(run, name, fieldPath, node, ct).ConfigureAwait(false);
        var image = await context.Runtime.FindImageAsync(name.Full, ct).ConfigureAwait(false)
            ?? throw new ImageException("ErrImagePull", $"image \"{run.ImageText}\" was pulled and is not on the engine");
        var took = context.Time.GetElapsedTime(started).TotalSeconds;
        context.Events.Normal(
            pod,
            "Pulled",
            FormattableString.Invariant(
                $"Successfully pulled image \"{run.ImageText}\" in {took:0.###}s ({took:0.###}s including waiting)."),
            fieldPath,
            node);
        return image;
    }

    /// <summary>
    /// The digest that a status shows: the reference's own repository where the engine knows it, else any, else the image's id.
    /// </summary>
    public static string Identity(ImageFacts image, string reference)
    {
        var repository = ImageName.Parse(reference)?.Repository;
        return image.RepositoryDigests.FirstOrDefault(d => d.StartsWith(repository + "@", StringComparison.Ordinal))
            ?? (image.RepositoryDigests is [var any, ..] ? any : image.Id);
    }

    private async Task PullAsync(ContainerRun run, ImageName name, string fieldPath, string node, CancellationToken ct)
    {
        var logins = PullCredentials.For(context.Api, pod, name);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await context.Runtime.PullAsync(
                    name.Full, attempt < logins.Count ? logins[attempt] : null, ct).ConfigureAwait(false);
                return;
            }
            catch (ImagePullRefusedException e) when (e.Refusal == PullRefusal.Unauthorized && attempt + 1 < logins.Count)
            {
                // The next login may be the right one.
            }
            catch (ImagePullRefusedException e)
            {
                context.Events.Warning(pod, "Failed", $"Failed to pull image \"{run.ImageText}\": {e.Message}", fieldPath, node);
                context.Events.Warning(pod, "Failed", "Error: ErrImagePull", fieldPath, node);
                throw new ImageException("ErrImagePull", $"failed to pull image \"{run.ImageText}\": {e.Message}");
            }
        }
    }
}
