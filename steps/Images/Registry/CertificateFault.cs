using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace CiSteps.Images;

/// <summary>Why a server's certificate is not to be trusted, and what to do.</summary>
internal static class CertificateFault
{
    /// <summary>What is said of it: goes on from "the certificate of …".</summary>
    /// <param name="host">The name by which the server was asked.</param>
    /// <param name="certificate">What it showed.</param>
    /// <param name="chain">What became of the certificate's chain.</param>
    /// <param name="errors">What is wrong.</param>
    /// <param name="trust">What to do where its authority is not known, such as <c>put it into ca.pem</c>.</param>
    public static string Describe(
        string host, X509Certificate2 certificate, X509Chain? chain, SslPolicyErrors errors, string trust)
    {
        var statuses = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status)
            ?? X509ChainStatusFlags.NoError;
        static string Day(DateTime time) =>
            time.ToUniversalTime().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
        return (statuses & ~X509ChainStatusFlags.NotTimeValid) != X509ChainStatusFlags.NoError
            ? $"is signed by \"{certificate.Issuer}\", an authority that is not trusted: {trust} "
                + $"({(chain?.ChainStatus is { Length: > 0 } all ? all[0].StatusInformation.Trim() : "not trusted")})"
            : statuses.HasFlag(X509ChainStatusFlags.NotTimeValid)
                ? $"is valid from {Day(certificate.NotBefore)} to {Day(certificate.NotAfter)} only: "
                    + "renew it, or set the clock right"
                : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
                    ? $"is for {Names(certificate)} and not for \"{host}\": "
                        + "use a name that it is for, or give the server one for this name"
                    : $"is not to be trusted ({errors})";
    }

    private static string Names(X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(extension =>
                extension.EnumerateDnsNames().Concat(extension.EnumerateIPAddresses().Select(ip => ip.ToString()))).ToList();
        return names.Count > 0 ? string.Join(", ", names.Select(name => $"\"{name}\"")) : $"\"{certificate.Subject}\"";
    }
}
