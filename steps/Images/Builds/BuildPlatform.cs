namespace CiSteps.Images;

/// <summary>Platforms as image builders write and compare them, such as <c>linux/arm64</c>.</summary>
public static class BuildPlatform
{
    /// <summary>
    /// Whether two mean the same machine: <c>linux/arm64</c> and <c>linux/arm64/v8</c> do, and a variant counts only where both
    /// say it.
    /// </summary>
    public static bool AreSame(string one, string other)
    {
        var (mine, wanted) = (Parts(one), Parts(other));
        return mine.System.Equals(wanted.System, StringComparison.OrdinalIgnoreCase) && mine.Architecture == wanted.Architecture
            && (mine.Variant.Length == 0 || wanted.Variant.Length == 0 || mine.Variant == wanted.Variant);
    }

    /// <summary>The values of the build arguments that BuildKit sets by itself, such as <c>TARGETARCH</c>.</summary>
    /// <param name="target">What the image is for.</param>
    /// <param name="build">What the build runs on.</param>
    internal static Dictionary<string, string> Arguments(string target, string build)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (prefix, platform) in new[] { ("TARGET", target), ("BUILD", build) })
        {
            var (system, architecture, variant) = Parts(platform);
            values[prefix + "PLATFORM"] = $"{system}/{architecture}" + (variant.Length > 0 ? "/" + variant : "");
            values[prefix + "OS"] = system;
            values[prefix + "ARCH"] = architecture;
            values[prefix + "VARIANT"] = variant;
        }
        return values;
    }

    /// <summary>What builders would set a predefined argument to where somebody gives it another value; null: it agrees, or is
    /// not
    /// predefined.</summary>
    /// <param name="name">Name of the argument.</param>
    /// <param name="value">The value that is given.</param>
    /// <param name="target">What the image is for.</param>
    /// <param name="build">What the build runs on.</param>
    public static string? OtherThan(string name, string value, string target, string build) =>
        !Arguments(target, build).TryGetValue(name, out var own) || own == value ? null
        // As people write a platform, and as builders do.
        : name.EndsWith("PLATFORM", StringComparison.Ordinal) && AreSame(own, value) ? null : own;

    private static (string System, string Architecture, string Variant) Parts(string platform)
    {
        var parts = platform.ToLowerInvariant().Split('/');
        var variant = parts.Length > 2 ? parts[2] : "";
        return (parts[0], parts.Length > 1 ? parts[1] : "", variant) switch
        {
            (var system, "x86_64" or "x86-64", _) => (system, "amd64", variant),
            (var system, "aarch64" or "arm64", "8" or "v8" or "") => (system, "arm64", ""),
            (var system, "armhf", _) => (system, "arm", "v7"),
            (var system, "armel", _) => (system, "arm", "v6"),
            (var system, "arm", "") => (system, "arm", "v7"),
            (var system, "arm", "5" or "6" or "7" or "8") => (system, "arm", "v" + variant),
            (var system, "amd64", "v1") => (system, "amd64", ""),
            var (system, architecture, _) => (system, architecture, variant),
        };
    }
}
