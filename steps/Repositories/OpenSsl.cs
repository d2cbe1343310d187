using System.Runtime.InteropServices;
using CiSteps.Hosting;

namespace CiSteps.Repositories;

/// <summary>
/// What libgit2 loads by itself on Linux. Without it the process would end with a segmentation fault and not a word.
/// </summary>
internal static class OpenSsl
{
    private static readonly string[] Names = ["libssl.so.3", "libssl.so.1.1", "libssl.so.1.0.0", "libssl.so.10"];

    /// <exception cref="UsageException">It is not on this machine.</exception>
    public static void Require()
    {
        if (OperatingSystem.IsLinux() && !Names.Any(name => NativeLibrary.TryLoad(name, out _)))
            throw new UsageException(
                "OpenSSL is missing on this machine, and git and https need it: install it (libssl.so.3 or 1.1; " +
                "on Debian and Ubuntu the package openssl)");
    }
}
