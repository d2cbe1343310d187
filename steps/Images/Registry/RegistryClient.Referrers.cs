using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace CiSteps.Images;

public sealed partial class RegistryClient
{
    private readonly ConcurrentDictionary<string, bool> hasReferrers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// What refers to a manifest: by the referrers API, or by the tag that stands for it where a registry lacks the API.
    /// </summary>
    /// <param name="subject">The image, by digest.</param>
    /// <param name="artifactType">Only of this type; null: all.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<IReadOnlyList<IndexEntry>> ListReferrersAsync(
        ImageReference subject, string? artifactType = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var digest = subject.Digest ?? throw new ArgumentException("referrers are asked for by digest", nameof(subject));
        var path = $"/v2/{subject.Path}/referrers/{digest}";
        var answer = await connection.SendAsync(
            new RegistryRequest(HttpMethod.Get, subject.Host, subject.Path, path)
            {
                Accept = [MediaTypes.OciIndex],
                MayBeUnknown = true
            },
            cancel).ConfigureAwait(false);
        IEnumerable<IndexEntry> entries;
        if (answer.IsSuccess && answer.MediaType is MediaTypes.OciIndex)
            entries = RegistryManifest.Read(answer.Body, answer.MediaType, $"the list of what refers to \"{subject}\"").Entries;
        else if (answer.IsSuccess
            || answer.Status is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.BadRequest)
            entries = (await FindManifestAsync(ReferrersTag(subject), cancel).ConfigureAwait(false))?.Entries ?? [];
        else throw Unexpected("list what refers to", subject.ToString(), answer);
        return [.. entries.Where(entry => artifactType is null || entry.ArtifactType == artifactType)];
    }

    /// <summary>Attaches a small document to a manifest as an OCI referrer. The same document is attached once only.</summary>
    /// <param name="subject">The image, by digest; it must be in the registry.</param>
    /// <param name="artifactType">Its type, such as <see cref="MediaTypes.InToto"/>.</param>
    /// <param name="content">Bytes of the artifact's one layer.</param>
    /// <param name="annotations">Annotations.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>The artifact's digest.</returns>
    public async Task<string> AttachAsync(
        ImageReference subject,
        string artifactType,
        byte[] content,
        IReadOnlyDictionary<string, string>? annotations = null,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var target = await FindManifestAsync(subject, cancel).ConfigureAwait(false)
            ?? throw new RegistryRefusalException(404, "MANIFEST_UNKNOWN",
                $"\"{subject}\" is not in the registry, so nothing can be attached to it");
        var empty = await UploadBlobAsync(subject, "{}"u8.ToArray(), MediaTypes.OciEmpty, cancel).ConfigureAwait(false);
        var layer = await UploadBlobAsync(subject, content, artifactType, cancel).ConfigureAwait(false);
        var notes = new JsonObject();
        foreach (var (name, value) in (annotations
            ?? new Dictionary<string, string>()).OrderBy(pair => pair.Key, StringComparer.Ordinal))
            notes[name] = value;
        var json = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["artifactType"] = artifactType,
            ["config"] = empty.ToJson(),
            ["layers"] = new JsonArray((JsonNode)layer.ToJson()),
            ["subject"] = target.Descriptor.ToJson(),
            ["annotations"] = notes,
        };
        var artifact = RegistryManifest.Read(Encoding.UTF8.GetBytes(json.ToJsonString()), MediaTypes.OciManifest);
        await PutManifestAsync(subject.WithDigest(artifact.Digest), artifact, cancel).ConfigureAwait(false);
        if (!hasReferrers.GetValueOrDefault(subject.Host))
            await ListUnderTagAsync(subject, artifact, artifactType, notes, cancel).ConfigureAwait(false);
        return artifact.Digest;
    }

    /// <summary>The documents of one type that are attached to a manifest.</summary>
    public async Task<IReadOnlyList<(IndexEntry Entry, byte[] Content)>> ReadAttachedAsync(
        ImageReference subject, string artifactType, CancellationToken cancel = default)
    {
        var found = new List<(IndexEntry, byte[])>();
        foreach (var entry in await ListReferrersAsync(subject, artifactType, cancel).ConfigureAwait(false))
        {
            if (await FindManifestAsync(
                subject.WithDigest(entry.Content.Digest), cancel).ConfigureAwait(false) is { Layers: [var layer, ..] })
                found.Add((entry, await ReadBlobAsync(subject, layer.Digest, cancel: cancel).ConfigureAwait(false)));
        }
        return found;
    }

    private static ImageReference ReferrersTag(ImageReference subject) =>
        subject.WithTag(ImageName.ReferrersTag(subject.Digest!));

    // The referrers tag scheme: an index under sha256-<digest>.
    private async Task ListUnderTagAsync(
        ImageReference subject, RegistryManifest artifact, string artifactType, JsonObject notes, CancellationToken cancel)
    {
        var tag = ReferrersTag(subject);
        for (var attempt = 0; attempt < 5; attempt++)
        {
            var index = await FindManifestAsync(tag, cancel).ConfigureAwait(false);
            if (index is not null && index.Entries.Any(entry => entry.Content.Digest == artifact.Digest)) return;
            var manifests = index is null ? [] : RegistryJson.Parse(index.Bytes.Span)?["manifests"]?.DeepClone() as JsonArray
                ?? [];
            var entry = artifact.Descriptor.ToJson();
            entry["artifactType"] = artifactType;
            entry["annotations"] = notes.DeepClone();
            manifests.Add((JsonNode)entry);
            var json = new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = MediaTypes.OciIndex, ["manifests"] = manifests };
            var list = RegistryManifest.Read(Encoding.UTF8.GetBytes(json.ToJsonString()), MediaTypes.OciIndex);
            try
            {
                await MoveTagAsync(tag, list, index?.Digest, cancel).ConfigureAwait(false);
                return;
            }
            catch (RegistryRefusalException other) when (other.Code == BranchImages.Moved)
            {
                // Another attachment came in between: it stays, and this one is added to it.
            }
        }
        throw new Hosting.UnavailableException("registry-busy",
            $"\"{tag}\" is being written by others all the time; the attachment {artifact.Digest} is stored and not listed");
    }
}
