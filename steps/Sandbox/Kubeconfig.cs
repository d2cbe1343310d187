using System.Text;
using CiSteps.Sandbox.Api.Auth;

namespace CiSteps.Sandbox;

/// <summary>Writes kubeconfig files.</summary>
internal static class Kubeconfig
{
    public static string Text(string name, string url, string authorityPem, IssuedCertificate client) =>
        $"""
        apiVersion: v1
        kind: Config
        clusters:
        - name: {name}
          cluster:
            server: {url}
            certificate-authority-data: {Encode(authorityPem)}
        users:
        - name: {name}-admin
          user:
            client-certificate-data: {Encode(client.CertificatePem)}
            client-key-data: {Encode(client.KeyPem)}
        contexts:
        - name: {name}
          context:
            cluster: {name}
            user: {name}-admin
            namespace: default
        current-context: {name}

        """;

    /// <summary>Only the owner can read the file, at no moment anybody else.</summary>
    public static async Task WriteAsync(string path, string text, CancellationToken cancel)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        var temporary = path + ".new";
        File.Delete(temporary);
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        await using (var stream = new FileStream(temporary, options))
            await stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancel).ConfigureAwait(false);
        File.Move(temporary, path, true);
    }

    private static string Encode(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
}
