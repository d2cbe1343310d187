using System.Globalization;

namespace CiSteps.Images;

/// <summary>Whose engine it is, and how new.</summary>
/// <param name="IsPodman">Whether it is podman, which speaks docker's API and builds with another builder.</param>
/// <param name="Major">First number of its version; 0 when it says none.</param>
public sealed record EngineKind(bool IsPodman, int Major)
{
    /// <summary>Its name for people.</summary>
    public string Name => IsPodman ? "podman" : "docker";

    internal static EngineKind Of(string version, bool isPodman) =>
        new(
            isPodman,
            int.TryParse(version.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : 0);
}
