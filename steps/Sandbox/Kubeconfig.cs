using System.Text;
using CiSteps.Hosting;
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
    public static void Write(string path, string text) => WholeFile.Write(path, text, isSecret: true);

    private static string Encode(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
}
