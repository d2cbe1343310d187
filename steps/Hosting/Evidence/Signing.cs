using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Hosting.Evidence;

/// <summary>DSSE envelopes (ECDSA P-256, SHA-256) of in-toto statements, beside the evidence and beside images.</summary>
public static class Signing
{
    private const string PayloadType = "application/vnd.in-toto+json";

    /// <summary>The variable (or its <c>_FILE</c> form) with the private key as PEM.</summary>
    public const string SigningKey = "CISTEPS_SIGNING_KEY";

    /// <summary>
    /// The variable (or its <c>_FILE</c> form) with the public key as PEM; without it the private key's own public half checks.
    /// </summary>
    public const string VerificationKey = "CISTEPS_VERIFICATION_KEY";

    /// <summary>Tries the keys that the step has, so that a wrong one is said before anything is done.</summary>
    /// <exception cref="UsageException">One of them is not an ECDSA key, or the signing key cannot sign.</exception>
    internal static void CheckKeys(StepContext context)
    {
        if (context.FindSecret(VerificationKey) is { } verifying) ReadKey(verifying, VerificationKey).Dispose();
        if (context.FindSecret(SigningKey) is not { } signing) return;
        using var key = ReadKey(signing, SigningKey);
        try
        {
            key.SignData([0], HashAlgorithmName.SHA256);
        }
        catch (CryptographicException error)
        {
            throw new UsageException($"{SigningKey} holds a key that cannot sign ({error.Message}); give the private key", error)
            {
                Fault = Fault.Environment,
            };
        }
    }

    /// <summary>A statement in its envelope; null when the step has no key.</summary>
    /// <exception cref="UsageException">The key is none.</exception>
    public static byte[]? Sign(byte[] statement, StepContext context)
    {
        ArgumentNullException.ThrowIfNull(statement);
        ArgumentNullException.ThrowIfNull(context);
        if (context.FindSecret(SigningKey) is not { } pem) return null;
        using var key = ReadKey(pem, SigningKey);
        var signature = key.SignData(
            Preauthenticated(statement), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        var envelope = new JsonObject
        {
            ["payloadType"] = PayloadType,
            ["payload"] = Convert.ToBase64String(statement),
            ["signatures"] = new JsonArray((JsonNode)new JsonObject
            {
                ["keyid"] = KeyId(key),
                ["sig"] = Convert.ToBase64String(signature)
            }),
        };
        return Encoding.UTF8.GetBytes(envelope.ToJsonString());
    }

    /// <summary>
    /// The statement in an envelope that the known key signed; null when another key did, when it is not an envelope, or when
    /// there is no key to check with.
    /// </summary>
    /// <exception cref="UsageException">The key is none.</exception>
    public static byte[]? Open(byte[] envelope, StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if ((context.FindSecret(VerificationKey) ?? context.FindSecret(SigningKey)) is not { } pem) return null;
        using var key = ReadKey(pem, VerificationKey);
        try
        {
            var json = OutsideJson.ReadObject(envelope, "the envelope");
            if (json.Text("payloadType") != PayloadType) return null;
            var statement = Convert.FromBase64String(json.Text("payload") ?? "");
            foreach (var signature in json.Objects("signatures"))
                if (signature.Text("sig") is { } text &&
                    key.VerifyData(
                        Preauthenticated(statement),
                        Convert.FromBase64String(text),
                        HashAlgorithmName.SHA256,
                        DSASignatureFormat.Rfc3279DerSequence))
                    return statement;
        }
        catch (Exception error) when (error is FormatException or OutsideJsonException)
        {
            // Whatever it is, it is not signed.
        }
        return null;
    }

    // The envelope must hold this very statement, not merely some signed one.
    internal static SignatureState Judge(byte[]? envelope, byte[] statement, StepContext? context)
    {
        if (envelope is null) return SignatureState.Missing;
        if (context is null || (context.FindSecret(VerificationKey)
            ?? context.FindSecret(SigningKey)) is null) return SignatureState.NotChecked;
        return Open(envelope, context) is { } signed && signed.AsSpan().SequenceEqual(statement) ? SignatureState.Good
            : SignatureState.Bad;
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
            throw new UsageException($"{variable} holds no ECDSA key in PEM form: {error.Message}", error)
            {
                Fault = Fault.Environment,
            };
        }
    }

    private static string KeyId(ECDsa key) =>
        "sha256:" + Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));

    private static byte[] Preauthenticated(byte[] body) =>
        [
            .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                $"DSSEv1 {PayloadType.Length} {PayloadType} {body.Length} ")),
            .. body
        ];
}

/// <summary>What is known of a statement's signature.</summary>
internal enum SignatureState
{
    /// <summary>There is none.</summary>
    Missing,

    /// <summary>There is one, and no key to check it with.</summary>
    NotChecked,

    /// <summary>It is of this very statement, by the known key.</summary>
    Good,

    /// <summary>It is broken, by another key, or of another statement.</summary>
    Bad,
}
