using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Media types of images.</summary>
public static class MediaTypes
{
    /// <summary>OCI image or artifact.</summary>
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";

    /// <summary>OCI index: several images, or referrers.</summary>
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";

    /// <summary>Docker image.</summary>
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";

    /// <summary>Docker list of images.</summary>
    public const string DockerList = "application/vnd.docker.distribution.manifest.list.v2+json";

    /// <summary>The two bytes <c>{}</c>.</summary>
    public const string OciEmpty = "application/vnd.oci.empty.v1+json";

    /// <summary>An in-toto statement.</summary>
    public const string InToto = "application/vnd.in-toto+json";

    /// <summary>A signed (DSSE) statement.</summary>
    public const string Dsse = "application/vnd.dsse.envelope.v1+json";

    internal static readonly string[] Manifests = [OciIndex, DockerList, OciManifest, DockerManifest];
}

/// <summary>Content in a registry.</summary>
/// <param name="MediaType">Its media type.</param>
/// <param name="Digest"><c>sha256:…</c>.</param>
/// <param name="Size">Bytes.</param>
public sealed record ContentDescriptor(string MediaType, string Digest, long Size)
{
    internal JsonObject ToJson() => new() { ["mediaType"] = MediaType, ["digest"] = Digest, ["size"] = Size };
}

/// <summary>One entry of an index.</summary>
/// <param name="Content">Media type, digest and size of the manifest.</param>
/// <param name="Platform">Such as <c>linux/amd64</c>; empty when it says none.</param>
/// <param name="ArtifactType">Artifact type, if it is a referrer; else empty.</param>
/// <param name="Annotations">Annotations.</param>
public sealed record IndexEntry(
    ContentDescriptor Content, string Platform, string ArtifactType, IReadOnlyDictionary<string, string> Annotations)
{
    /// <summary>
    /// Whether this is not an image but a statement about one (BuildKit puts them beside the images, platform
    /// <c>unknown/unknown</c>).
    /// </summary>
    public bool IsAttestation =>
        Platform == "unknown/unknown" || Annotations.GetValueOrDefault("vnd.docker.reference.type") == "attestation-manifest";
}

/// <summary>A manifest or index, byte for byte as the registry holds it.</summary>
public sealed class RegistryManifest
{
    private RegistryManifest(string mediaType, byte[] bytes, JsonObject json)
    {
        (MediaType, Bytes, Digest) = (mediaType, bytes, DigestOf(bytes));
        Entries = IsIndex ? [.. Objects(json, "manifests").Select(ToEntry)] : [];
        Config = json["config"] is JsonObject config ? ToDescriptor(config) : null;
        Layers = [.. Objects(json, "layers").Select(ToDescriptor)];
        Subject = json["subject"] is JsonObject subject ? ToDescriptor(subject) : null;
        Annotations = ToAnnotations(json["annotations"]);
    }

    /// <summary>Its media type.</summary>
    public string MediaType { get; }

    /// <summary>Its bytes; the digest is theirs.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary><c>sha256:…</c> of the bytes.</summary>
    public string Digest { get; }

    /// <summary>Whether it lists manifests rather than layers.</summary>
    public bool IsIndex => MediaType is MediaTypes.OciIndex or MediaTypes.DockerList;

    /// <summary>An index's entries; empty for an image.</summary>
    public IReadOnlyList<IndexEntry> Entries { get; }

    /// <summary>An image's configuration; null for an index.</summary>
    public ContentDescriptor? Config { get; }

    /// <summary>An image's layers, or an artifact's contents.</summary>
    public IReadOnlyList<ContentDescriptor> Layers { get; }

    /// <summary>What it refers to; null when it refers to nothing.</summary>
    public ContentDescriptor? Subject { get; }

    /// <summary>Annotations.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; }

    /// <summary>Media type, digest and size, as an index names it.</summary>
    public ContentDescriptor Descriptor => new(MediaType, Digest, Bytes.Length);

    /// <summary>Reads a manifest.</summary>
    /// <param name="bytes">The document as the registry sent it; the digest is over these bytes.</param>
    /// <param name="mediaType">As the registry said; null: as the manifest itself says.</param>
    /// <param name="what">What was asked for, for the message.</param>
    /// <exception cref="UnavailableException">"registry-protocol": it is not a manifest, or a part of it is not what it must
    /// be.</exception>
    public static RegistryManifest Read(byte[] bytes, string? mediaType = null, string what = "an image")
    {
        try
        {
            if (RegistryJson.Parse(bytes) is not JsonObject json) throw RegistryJson.Wrong("it is not a JSON object");
            return new RegistryManifest(TypeOf(json, mediaType), bytes, json);
        }
        catch (OutsideJsonException error)
        {
            throw new UnavailableException(
                "registry-protocol", $"the registry sent something for {what} that is not a manifest: {error.Message}", error);
        }
    }

    internal static string DigestOf(ReadOnlySpan<byte> bytes) => DigestOf(bytes, "sha256");

    /// <summary>The digest by the algorithm of another digest.</summary>
    internal static string DigestLike(string digest, ReadOnlySpan<byte> bytes) =>
        DigestOf(bytes, ImageReference.PartsOf(digest).Algorithm);

    private static string DigestOf(ReadOnlySpan<byte> bytes, string algorithm) =>
        algorithm + ":" + Convert.ToHexStringLower(algorithm switch
        {
            "sha384" => SHA384.HashData(bytes),
            "sha512" => SHA512.HashData(bytes),
            _ => SHA256.HashData(bytes),
        });

    private static string TypeOf(JsonObject json, string? mediaType)
    {
        if (mediaType is not null && MediaTypes.Manifests.Contains(mediaType)) return mediaType;
        var said = RegistryJson.Text(json["mediaType"]);
        if (said is null) return json["manifests"] is JsonArray ? MediaTypes.OciIndex : MediaTypes.OciManifest;
        // It goes into a header when the manifest is written again.
        return MediaTypeHeaderValue.TryParse(said, out _) && !said.AsSpan().ContainsAny('\r', '\n') ? said
            : throw RegistryJson.Wrong("its media type is not a media type");
    }

    private static IEnumerable<JsonObject> Objects(JsonObject json, string name) => json[name] switch
    {
        null => [],
        JsonArray array =>
            array.Select(item =>
            item as JsonObject ?? throw RegistryJson.Wrong($"\"{name}\" has something that is not an object")),
        _ => throw RegistryJson.Wrong($"\"{name}\" is not a list"),
    };

    private static ContentDescriptor ToDescriptor(JsonObject json)
    {
        // A digest becomes a part of addresses: nothing else may stand in its place.
        var digest = RegistryJson.Text(json["digest"]);
        if (!ImageReference.IsDigest(digest)) throw RegistryJson.Wrong("it names content by something that is not a digest");
        return json["size"] is JsonValue number && number.TryGetValue(out long size) && size >= 0
            ? new(RegistryJson.Text(json["mediaType"]) ?? "", digest!, size)
            : throw RegistryJson.Wrong($"it does not say in \"size\" how many bytes {digest} has");
    }

    private static IndexEntry ToEntry(JsonObject json)
    {
        var platform = json["platform"] as JsonObject;
        var variant = RegistryJson.Text(platform, "variant");
        return new IndexEntry(ToDescriptor(json),
            platform is null ? "" : $"{RegistryJson.Text(platform, "os")}/{RegistryJson.Text(platform, "architecture")}"
                + (variant is { Length: > 0 } ? "/" + variant : ""),
            RegistryJson.Text(json["artifactType"]) ?? "", ToAnnotations(json["annotations"]));
    }

    private static Dictionary<string, string> ToAnnotations(JsonNode? node) =>
        node is JsonObject annotations ? annotations.ToDictionary(pair => pair.Key, pair => RegistryJson.Text(pair.Value) ?? "")
            : [];
}

/// <summary>One platform's image.</summary>
/// <param name="Platform">Such as <c>linux/amd64</c>.</param>
/// <param name="ManifestDigest">Digest of its manifest.</param>
/// <param name="ConfigDigest">Digest of its configuration; what engines call the image's id.</param>
/// <param name="Labels">Labels of the configuration, name to value.</param>
/// <param name="Created">When it was made, as it says itself; null when it does not.</param>
public sealed record PlatformImage(
    string Platform,
    string ManifestDigest,
    string ConfigDigest,
    IReadOnlyDictionary<string, string> Labels,
    DateTimeOffset? Created = null);

/// <summary>An image in a registry with all of its platforms; attestations left out.</summary>
/// <param name="Digest">Digest of the manifest or index.</param>
/// <param name="MediaType">Its media type.</param>
/// <param name="Platforms">One per platform; a single one for a plain image.</param>
public sealed record RegistryImage(string Digest, string MediaType, IReadOnlyList<PlatformImage> Platforms)
{
    /// <summary>
    /// All digests under which an engine may know this image: of the index, of the manifests, of the configurations.
    /// </summary>
    public IReadOnlySet<string> KnownAs =>
        new HashSet<string>(
            Platforms.SelectMany(image => new[] { image.ManifestDigest, image.ConfigDigest }).Append(Digest),
            StringComparer.Ordinal);

    /// <summary>
    /// When its newest platform was made; null when none says it. A builder that took all layers from its cache may give their
    /// time: the label, which it cannot take from there, counts where it is later.
    /// </summary>
    public DateTimeOffset? Created =>
        Platforms.Max(image => image.Created is { } made && image.Labels.GetValueOrDefault(ImageName.CreatedLabel) is { } label
            && DateTimeOffset.TryParse(label, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var labelled)
                && labelled > made
                ? labelled
                : image.Created);

    /// <summary>A label's value, when all platforms agree on it; else null.</summary>
    public string? Label(string name) =>
        Platforms.Select(image => image.Labels.GetValueOrDefault(name)).Distinct().ToList() is [var only] ? only : null;
}
