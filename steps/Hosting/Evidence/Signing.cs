using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace CiSteps.Hosting.Evidence;

/// <summary>DSSE envelopes (ECDSA P-256, SHA-256) beside statements.</summary>
internal static class Signing
{
    private const string PayloadType = "application/vnd.in-toto+json";

    /// <summary>The variable (or its <c>_FILE</c> form) with the private key as PEM.</summary>
    public const string SigningKey = "CISTEPS_SIGNING_KEY";

    /// <summary>The variable (or its <c>_FILE</c> form) with the public key as PEM; without it the private key's own public half checks.</summary>
    public const string VerificationKey = "CISTEPS_VERIFICATION_KEY";

    public static byte[]? Sign(byte[] statement, StepContext context)
    {
        if (context.FindSecret(SigningKey) is not { } pem) return null;
        using var key = ReadKey(pem, SigningKey);
        var signature = key.SignData(Preauthenticated(statement), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        var envelope = new JsonObject
        {
            ["payloadType"] = PayloadType,
            ["payload"] = Convert.ToBase64String(statement),
            ["signatures"] = new JsonArray((JsonNode)new JsonObject { ["keyid"] = KeyId(key), ["sig"] = Convert.ToBase64String(signature) }),
        };
        return Encoding.UTF8.GetBytes(envelope.ToJsonString());
    }

    public static bool IsSigned(string envelopePath, byte[] statement, StepContext? context)
    {
        if (context is null || !File.Exists(envelopePath)) return false;
        var pem = context.FindSecret(VerificationKey) ?? context.FindSecret(SigningKey);
        if (pem is null) return false;
        using var key = ReadKey(pem, VerificationKey);
        if (JsonNode.Parse(File.ReadAllBytes(envelopePath)) is not JsonObject envelope || (string?)envelope["payloadType"] != PayloadType) return false;
        // The envelope must hold this very statement, not merely some signed one.
        if (!Convert.FromBase64String((string?)envelope["payload"] ?? "").AsSpan().SequenceEqual(statement)) return false;
        foreach (var signature in envelope["signatures"] as JsonArray ?? [])
            if ((string?)signature?["sig"] is { } text &&
                key.VerifyData(Preauthenticated(statement), Convert.FromBase64String(text), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence))
                return true;
        return false;
    }

    private static ECDsa ReadKey(string pem, string variable)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return key;
        }
        catch (Exception error) when (error is ArgumentException or CryptographicException)
        {
            key.Dispose();
            throw new UsageException($"{variable} holds no ECDSA key in PEM form: {error.Message}", error);
        }
    }

    private static string KeyId(ECDsa key) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));

    private static byte[] Preauthenticated(byte[] body) =>
        [.. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"DSSEv1 {PayloadType.Length} {PayloadType} {body.Length} ")), .. body];
}
