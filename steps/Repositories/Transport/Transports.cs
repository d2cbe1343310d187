using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>Puts our transports before the library's own, once in a process.</summary>
internal static class Transports
{
    private static readonly object[] Registered =
    [
        GlobalSettings.RegisterSmartSubtransport<HttpTransport>("http"),
        GlobalSettings.RegisterSmartSubtransport<HttpTransport>("https"),
        GlobalSettings.RegisterSmartSubtransport<SshTransport>("ssh"),
    ];

    /// <summary>Makes sure that it is done; the registrations have to live as long as the process.</summary>
    public static void Register() => GC.KeepAlive(Registered);
}
