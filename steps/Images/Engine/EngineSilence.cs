using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Why an engine could not be spoken to, as a step ends with it: what is configured wrongly is usage, silence is an
/// outage.</summary>
internal static class EngineSilence
{
    // OpenSSL's words for the alerts that a server sends about the certificate it was shown, or was not shown.
    private static readonly string[] CertificateAlerts =
        ["alert bad certificate", "alert certificate", "alert unknown ca", "alert unsupported certificate",
            "alert handshake failure", "alert access denied"];

    // What ssh says when it, the other machine's client or the rights there are to be mended by somebody.
    private static readonly (string Said, string Todo)[] SshTodos =
    [
        ("Host key verification failed",
            "put the machine's key into known_hosts of the user that runs the step (ssh-keyscan, or log in once by hand)"),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED",
            "see whether it is the same machine, and mend known_hosts of the user that runs the step"),
        ("Permission denied (",
            "give the user that runs the step a key that the machine takes, without a pass phrase or in an agent"),
        ("Too many authentication failures", "give the user that runs the step a key that the machine takes"),
        ("dial-stdio", "install docker's client there, 18.09 or newer"),
        ("command not found", "install docker's client there, on the path of a login by ssh"),
        (": not found", "install docker's client there, on the path of a login by ssh"),
        ("permission denied while trying to connect",
            "add the ssh user to the group that owns the engine's socket there (docker)"),
        ("Bad configuration option", "mend ssh's configuration"),
    ];

    /// <summary>Whether a failure is the engine's word about our certificate.</summary>
    public static bool IsCertificateAlert(Exception failure) => Chain(failure).Any(one =>
        CertificateAlerts.Any(alert => one.Message.Contains(alert, StringComparison.OrdinalIgnoreCase)));

    /// <summary>An engine's certificate that is not to be trusted.</summary>
    /// <param name="engine">The engine, with the reason why it is this one.</param>
    /// <param name="host">The name by which it was asked.</param>
    /// <param name="certificate">What it showed; null: nothing.</param>
    /// <param name="chain">What became of the certificate's chain.</param>
    /// <param name="errors">What is wrong.</param>
    public static UsageException Distrust(string engine, string host, X509Certificate2? certificate, X509Chain? chain,
        SslPolicyErrors errors)
    {
        if (certificate is null)
            return new UsageException($"the container engine at {engine} shows no certificate; see its --tlscert");
        var statuses = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status)
            ?? X509ChainStatusFlags.NoError;
        static string Day(DateTime time) =>
            time.ToUniversalTime().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
        var what = (statuses & ~X509ChainStatusFlags.NotTimeValid) != X509ChainStatusFlags.NoError
            ? $"is signed by \"{certificate.Issuer}\", an authority that is not trusted: put the one that signed it into ca.pem, "
                + "and see whether this is the engine that is meant "
                + $"({(chain?.ChainStatus is { Length: > 0 } all ? all[0].StatusInformation.Trim() : "not trusted")})"
            : statuses.HasFlag(X509ChainStatusFlags.NotTimeValid)
                ? $"is valid from {Day(certificate.NotBefore)} to {Day(certificate.NotAfter)} only: "
                    + "renew it, or set the clock right"
                : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
                    ? $"is for {Names(certificate)} and not for \"{host}\": "
                        + "use a name that it is for, or give the engine one for this name"
                    : $"is not to be trusted ({errors})";
        return new UsageException($"the certificate of the container engine at {engine} {what}");
    }

    /// <summary>The failure of a call as a step ends with it.</summary>
    public static Exception Of(EngineLocation location, Exception failure)
    {
        var cause = Chain(failure).Last();
        if (Chain(failure).OfType<SshEndedException>().FirstOrDefault() is { } ended) return OfSsh(location, ended);
        if (IsCertificateAlert(failure))
        {
            var shown = location.Tls is { HasOwn: true } tls ? $"does not take the certificate in \"{tls.Folder}\""
                : "wants a certificate and was shown none";
            var mend = location.Context is null
                ? $"{EngineLocation.CertificatesVariable} has to name a folder with a cert.pem and key.pem "
                    + "that its authority signed"
                : $"make the context \"{location.Context}\" again with docker context create, "
                    + "with a cert and key that its authority signed";
            return new UsageException($"the container engine at {location} {shown}: {cause.Message}; {mend}", failure);
        }
        var todo = cause switch
        {
            SocketException { SocketErrorCode: SocketError.AccessDenied } =>
                "add this user to the group that owns the socket (docker), or run as root",
            SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData } =>
                $"mend the name, or set {EngineLocation.HostVariable} to where one listens",
            _ => $"start it ({Start(location)}), or set {EngineLocation.HostVariable} to where one listens",
        };
        var context = location.Context is null ? ""
            : $", or choose another context ({EngineLocation.ContextVariable}, docker context use)";
        // What the library's own socket address makes of a file that is not there.
        var why = cause is SocketException { SocketErrorCode: SocketError.AddressNotAvailable } && location.Where.Scheme == "unix"
            ? "there is no such socket" : cause.Message;
        return new UnavailableException("engine",
            $"no container engine answers at \"{location.Address}\" ({location.Reason}): {why}; {todo}{context}", failure);
    }

    private static Exception OfSsh(EngineLocation location, SshEndedException ended)
    {
        var said = $"no container engine answers at \"{location.Address}\" ({location.Reason}): "
            + $"{ended.Message.ReplaceLineEndings(" ")}";
        foreach (var (words, todo) in SshTodos)
            if (ended.Message.Contains(words, StringComparison.OrdinalIgnoreCase))
                return new UsageException($"{said}; {todo}", ended);
        return new UnavailableException("engine",
            $"{said}; see whether the machine and its engine are up: ssh to it and try docker version", ended);
    }

    private static string Start(EngineLocation location) => location.Where.Scheme switch
    {
        "unix" when location.Where.Path.Contains("podman", StringComparison.Ordinal) => "systemctl start podman.socket",
        "unix" => "systemctl start docker",
        "npipe" => "the service \"docker\", or Docker Desktop",
        _ => "on its machine, listening there",
    };

    private static string Names(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(extension =>
                extension.EnumerateDnsNames().Concat(extension.EnumerateIPAddresses().Select(ip => ip.ToString()))).ToList();
        return names.Count > 0 ? string.Join(", ", names.Select(name => $"\"{name}\"")) : $"\"{certificate.Subject}\"";
    }

    private static IEnumerable<Exception> Chain(Exception failure)
    {
        for (var one = failure; one is not null; one = one.InnerException) yield return one;
    }
}
