using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Json;

namespace CiSteps.Images;

/// <summary>
/// An in-toto statement that is attached to an image as an OCI referrer: in a DSSE envelope when the step has a key, bare when it
/// has none.
/// </summary>
/// <param name="Statement">The in-toto statement, read; not yet judged.</param>
/// <param name="IsSigned">Whether the known key signed it. False when there is no key to check with.</param>
public sealed record Attestation(JsonObject Statement, bool IsSigned)
{
    /// <summary>Annotation with the statement's predicate type.</summary>
    public const string PredicateAnnotation = "in-toto.io/predicate-type";

    /// <summary>Attaches a statement.</summary>
    /// <param name="registry">Client with the credentials for this registry.</param>
    /// <param name="context">The step, with its key.</param>
    /// <param name="image">The image, by digest; it must be in the registry.</param>
    /// <param name="predicateType">in-toto predicate type; people find the statement by it.</param>
    /// <param name="statement">The whole statement.</param>
    /// <param name="annotations">Further annotations; the list of what refers to the image repeats them.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="RegistryRefusalException">The registry takes no artifacts.</exception>
    public static async Task AttachAsync(
        RegistryClient registry,
        StepContext context,
        ImageReference image,
        string predicateType,
        byte[] statement,
        IReadOnlyDictionary<string, string>? annotations = null,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        var notes = new Dictionary<string, string>(annotations ?? new Dictionary<string, string>())
        {
            [PredicateAnnotation] = predicateType,
        };
        if (Signing.Sign(statement, context) is { } envelope)
            await registry.AttachAsync(image, MediaTypes.Dsse, envelope, notes, cancel).ConfigureAwait(false);
        else await registry.AttachAsync(image, MediaTypes.InToto, statement, notes, cancel).ConfigureAwait(false);
    }

    /// <summary>
    /// The statements of one predicate type that are attached to an image. What is not a statement of that type is left out.
    /// </summary>
    /// <param name="registry">Client with the credentials for this registry.</param>
    /// <param name="context">The step, with the key to check with.</param>
    /// <param name="image">The image, by digest.</param>
    /// <param name="predicateType">in-toto predicate type.</param>
    /// <param name="cancel">Gives up.</param>
    public static async Task<IReadOnlyList<Attestation>> ReadAsync(
        RegistryClient registry,
        StepContext context,
        ImageReference image,
        string predicateType,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(registry);
        var found = new List<Attestation>();
        foreach (var (_, envelope) in await registry.ReadAttachedAsync(image, MediaTypes.Dsse, cancel).ConfigureAwait(false))
        {
            var signed = Signing.Open(envelope, context);
            if (Parse(signed ?? Payload(envelope)) is { } statement) found.Add(new Attestation(statement, signed is not null));
        }
        foreach (var (_, content) in await registry.ReadAttachedAsync(image, MediaTypes.InToto, cancel).ConfigureAwait(false))
            if (Parse(content) is { } statement) found.Add(new Attestation(statement, IsSigned: false));
        return [.. found.Where(one => RegistryJson.Text(one.Statement["predicateType"]) == predicateType)];
    }

    private static byte[]? Payload(byte[] envelope)
    {
        try
        {
            return Convert.FromBase64String(RegistryJson.Text(Parse(envelope), "payload") ?? "");
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static JsonObject? Parse(byte[]? bytes)
    {
        try
        {
            return bytes is null ? null : RegistryJson.Parse(bytes) as JsonObject;
        }
        catch (OutsideJsonException)
        {
            return null;
        }
    }
}
