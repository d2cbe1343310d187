using System.Net;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Image registries by the distribution API. Absent means the manifest's own 404 and nothing else; overload and silence are
/// <see cref="UnavailableException"/> "registry-unreachable", credentials that do not suffice <see cref="UsageException"/>.
/// </summary>
public sealed partial class RegistryClient : IDisposable
{
    private const string PushRights = "pull,push";
    private readonly RegistryConnection connection;

    private RegistryClient(RegistryConnection connection) => this.connection = connection;

    /// <summary>A client for any number of registries.</summary>
    /// <param name="credentials">Whom to be.</param>
    /// <param name="plainHosts">Hosts (<c>host[:port]</c>) besides this machine that may be spoken to by plain HTTP.</param>
    /// <param name="certificateAuthority">PEM file of a further authority; null: the machine's own only.</param>
    /// <param name="log">Told of retries.</param>
    /// <param name="time">The clock of pauses and tokens.</param>
    /// <exception cref="UsageException">The authority's file cannot be read.</exception>
    public static RegistryClient Open(
        RegistryCredentials credentials,
        IEnumerable<string>? plainHosts = null,
        string? certificateAuthority = null,
        BuildLog? log = null,
        TimeProvider? time = null) =>
        new(new RegistryConnection(
            credentials, plainHosts ?? [], certificateAuthority, log ?? BuildLog.Silent, time ?? TimeProvider.System));

    /// <summary>A step's client.</summary>
    /// <param name="context">The step: its environment, its log, its clock.</param>
    /// <param name="plainHttp">Whether the pipeline's registries may be spoken to by plain HTTP.</param>
    /// <param name="registries">The pipeline's own registries, <c>host[:port][/prefix]</c>.</param>
    public static RegistryClient Open(StepContext context, bool plainHttp, params IReadOnlyCollection<string> registries)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Open(RegistryCredentials.Of(context, registries), plainHttp ? RegistryCredentials.HostsOf(registries) : [],
            context.Options.Find(RegistryOptions.CertificateAuthority), context.Log, context.Time);
    }

    /// <summary>How many HTTP requests were sent so far, those for tokens included.</summary>
    public int Requests => connection.Requests;

    /// <summary>The digest behind a tag (or of a digest); null when it is absent.</summary>
    public async Task<string?> FindDigestAsync(ImageReference reference, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        var answer = await connection.SendAsync(ManifestRequest(HttpMethod.Head, reference), cancel).ConfigureAwait(false);
        if (answer.IsSuccess && answer.Header("Docker-Content-Digest") is { } digest && ImageReference.IsDigest(digest))
            return digest;
        // A HEAD's 404 has no body that says what is absent, and some registries give no digest: ask in full.
        return (await FindManifestAsync(reference, cancel).ConfigureAwait(false))?.Digest;
    }

    /// <summary>A manifest or index byte for byte; null when it is absent.</summary>
    public async Task<RegistryManifest?> FindManifestAsync(ImageReference reference, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        var answer = await connection.SendAsync(ManifestRequest(HttpMethod.Get, reference), cancel).ConfigureAwait(false);
        if (IsAbsent(answer)) return null;
        if (!answer.IsSuccess) throw Unexpected("read", reference.ToString(), answer);
        var manifest = RegistryManifest.Read(answer.Body, answer.MediaType, $"\"{reference}\"");
        if (reference.Digest is { } asked && asked != RegistryManifest.DigestLike(asked, answer.Body))
            throw new UnavailableException("registry-protocol",
                $"the registry \"{reference.Host}\" was asked for \"{reference}\" and sent bytes of digest {manifest.Digest}; " +
                "something between here and there changes content");
        return manifest;
    }

    /// <summary>An image with its platforms, labels and all of its digests; null when it is absent.</summary>
    public async Task<RegistryImage?> FindImageAsync(ImageReference reference, CancellationToken cancel = default)
    {
        return await FindManifestAsync(reference, cancel).ConfigureAwait(false) is { } manifest
            ? await DescribeImageAsync(reference, manifest, cancel).ConfigureAwait(false) : null;
    }

    /// <summary>The image that a manifest is of, with its platforms, labels and all of its digests.</summary>
    /// <param name="reference">Where the manifest was read.</param>
    /// <param name="manifest">The manifest or index.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="UnavailableException">"registry-protocol": a part of it cannot be read.</exception>
    public async Task<RegistryImage> DescribeImageAsync(ImageReference reference, RegistryManifest manifest,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(manifest);
        var images = new List<PlatformImage>();
        if (!manifest.IsIndex)
        {
            images.Add(await DescribeAsync(reference, manifest, cancel).ConfigureAwait(false));
        }
        foreach (var entry in manifest.Entries.Where(entry => !entry.IsAttestation && entry.ArtifactType.Length == 0))
        {
            var inner = await FindManifestAsync(reference.WithDigest(entry.Content.Digest), cancel).ConfigureAwait(false)
                ?? throw new UnavailableException("registry-protocol",
                    $"the index \"{reference}\" names the manifest {entry.Content.Digest}, which is not in the registry; " +
                    "push the image again");
            if (!inner.IsIndex) images.Add(await DescribeAsync(reference, inner, cancel).ConfigureAwait(false));
        }
        return new RegistryImage(manifest.Digest, manifest.MediaType, images);
    }

    /// <summary>
    /// Puts a manifest under a tag, byte for byte. Safe for a tag that is written once; for one that moves see
    /// <see cref="MoveTagAsync"/>.
    /// </summary>
    /// <returns>The digest, as the registry says.</returns>
    /// <exception cref="RegistryRefusalException">The registry does not take it.</exception>
    public Task<string> PutManifestAsync(ImageReference target, RegistryManifest manifest, CancellationToken cancel = default) =>
        PutAsync(target, manifest, repeatable: true, cancel);

    /// <summary>Moves a tag to a manifest: one write, never repeated without reading first, then read back.</summary>
    /// <param name="target">Repository and tag.</param>
    /// <param name="manifest">What it shall point to.</param>
    /// <param name="expected">Digest that it points to now; null: it is absent.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="RegistryRefusalException">Code <c>MOVED</c>: the tag points to something else than expected. Another
    /// code: the registry does not take it.</exception>
    public async Task MoveTagAsync(
        ImageReference target, RegistryManifest manifest, string? expected, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        for (var attempt = 1; ; attempt++)
        {
            UnavailableException? silence = null;
            try
            {
                await PutAsync(target, manifest, repeatable: false, cancel).ConfigureAwait(false);
            }
            catch (UnavailableException failure)
            {
                // The write may have arrived all the same: only reading tells.
                silence = failure;
            }
            var now = await FindDigestAsync(target, cancel).ConfigureAwait(false);
            if (now == manifest.Digest) return;
            if (now != expected)
                throw new RegistryRefusalException(409, "MOVED",
                    $"\"{target}\" was moved to {now ?? "nothing"} by somebody else at the same moment; " +
                    $"expected {expected ?? "nothing"}, wanted {manifest.Digest}");
            if (silence is null)
                throw new UnavailableException("registry-protocol",
                    $"the registry \"{target.Host}\" accepted \"{target}\" and still gives {now ?? "nothing"} for it");
            if (attempt == 3) throw silence;
        }
    }

    /// <summary>All tags of a repository; none when it is absent.</summary>
    public async Task<IReadOnlyList<string>> ListTagsAsync(ImageReference repository, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var tags = new List<string>();
        var path = $"/v2/{repository.Path}/tags/list?n=1000";
        var asked = new HashSet<string>(StringComparer.Ordinal);
        while (true)
        {
            // A list whose last page leads back to an earlier one would never end.
            if (!asked.Add(path))
                throw new UnavailableException("registry-protocol",
                    $"the registry \"{repository.Host}\" lists the tags of \"{repository.Repository}\" in a circle");
            var answer = await connection.SendAsync(
                new RegistryRequest(HttpMethod.Get, repository.Host, repository.Path, path), cancel).ConfigureAwait(false);
            if (IsAbsent(answer)) return [];
            if (!answer.IsSuccess) throw Unexpected("list the tags of", repository.Repository, answer);
            tags.AddRange(Tags(answer, repository.Repository));
            if (NextPage(answer) is not { } next) return tags;
            path = next;
        }
    }

    /// <summary>Asks the smallest question about a repository, to tell a registry that is down from one thing in it that is
    /// broken.</summary>
    /// <exception cref="UnavailableException">"registry-unreachable": it does not answer.</exception>
    public async Task RequireAnswerAsync(ImageReference repository, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var asked = new RegistryRequest(HttpMethod.Get, repository.Host, repository.Path, $"/v2/{repository.Path}/tags/list?n=1");
        var answer = await connection.SendAsync(asked, cancel).ConfigureAwait(false);
        if (!answer.IsSuccess && !IsAbsent(answer)) throw Unexpected("list the tags of", repository.Repository, answer);
    }

    /// <summary>Deletes a manifest by its digest, with all of its tags.</summary>
    /// <returns>False when it was not there.</returns>
    /// <exception cref="RegistryRefusalException">The registry does not allow it.</exception>
    public async Task<bool> DeleteManifestAsync(ImageReference reference, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        if (reference.Digest is null) throw new ArgumentException("manifests are deleted by digest", nameof(reference));
        var answer = await connection.SendAsync(
            ManifestRequest(HttpMethod.Delete, reference) with { Actions = "pull,push,delete" }, cancel).ConfigureAwait(false);
        if (IsAbsent(answer)) return false;
        return answer.IsSuccess
            ? true
            : throw Refusal(
                $"delete \"{reference}\"" +
                    (answer.Status == HttpStatusCode.MethodNotAllowed ? " (deletion is switched off there)" : ""),
                answer);
    }

    /// <summary>Small content by its digest.</summary>
    /// <param name="repository">Where.</param>
    /// <param name="digest">Which.</param>
    /// <param name="longest">More bytes than this are refused.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<byte[]> ReadBlobAsync(
        ImageReference repository, string digest, int longest = 8 << 20, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var answer = await connection.SendAsync(
            new RegistryRequest(
                HttpMethod.Get,
                repository.Host,
                repository.Path,
                $"/v2/{repository.Path}/blobs/{digest}")
            { LongestAnswer = longest },
            cancel).ConfigureAwait(false);
        if (!answer.IsSuccess) throw Unexpected("read the content", $"{repository.Repository}@{digest}", answer);
        if (RegistryManifest.DigestLike(digest, answer.Body) != digest)
            throw new UnavailableException("registry-protocol",
                $"the registry \"{repository.Host}\" sent other bytes for {digest} of \"{repository.Repository}\"");
        return answer.Body;
    }

    /// <summary>Uploads small content unless it is there.</summary>
    public async Task<ContentDescriptor> UploadBlobAsync(
        ImageReference repository, byte[] bytes, string mediaType, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var content = new ContentDescriptor(mediaType, RegistryManifest.DigestOf(bytes), bytes.Length);
        RegistryRequest On(HttpMethod method, string path) =>
            new(method, repository.Host, repository.Path, path) { Actions = PushRights };
        var there = await connection.SendAsync(
            On(HttpMethod.Head, $"/v2/{repository.Path}/blobs/{content.Digest}"), cancel).ConfigureAwait(false);
        // A login page is there for whatever is asked for.
        if (there is { IsSuccess: true, MediaType: not "text/html" }) return content;
        var begun = await connection.SendAsync(
            On(HttpMethod.Post, $"/v2/{repository.Path}/blobs/uploads/") with { Content = [] }, cancel).ConfigureAwait(false);
        var address = UploadPlace(repository, begun);
        var ended = await connection.SendAsync(
            On(HttpMethod.Put,
                address.AbsoluteUri + (address.Query.Length > 1 ? "&" : "?") +
                "digest=" + Uri.EscapeDataString(content.Digest)) with
            {
                Content = bytes,
                ContentType = "application/octet-stream",
            }, cancel).ConfigureAwait(false);
        return ended.IsSuccess ? content : throw Refusal($"upload {bytes.Length} bytes to \"{repository.Repository}\"", ended);
    }

    /// <summary>
    /// Gives an image a name in another repository of the same registry; its layers are shared there, not moved.
    /// </summary>
    /// <param name="source">The image, by digest.</param>
    /// <param name="target">Repository and tag.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>False when the registry cannot share content between the two.</returns>
    /// <exception cref="RegistryRefusalException">The registry does not take the name.</exception>
    public async Task<bool> ShareAsync(ImageReference source, ImageReference target, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(target);
        if (source.Host != target.Host || await FindManifestAsync(source, cancel).ConfigureAwait(false) is not { } manifest)
            return false;
        if (source.Path != target.Path && !await MountAsync(source, target, manifest, cancel).ConfigureAwait(false)) return false;
        await PutManifestAsync(target, manifest, cancel).ConfigureAwait(false);
        return true;
    }

    /// <inheritdoc />
    public void Dispose() => connection.Dispose();

    private async Task<bool> MountAsync(
        ImageReference source, ImageReference target, RegistryManifest manifest, CancellationToken cancel)
    {
        foreach (var entry in manifest.Entries)
        {
            if (await FindManifestAsync(source.WithDigest(entry.Content.Digest), cancel).ConfigureAwait(false) is not { } inner
                || !await MountAsync(source, target, inner, cancel).ConfigureAwait(false)) return false;
            await PutManifestAsync(target.WithDigest(inner.Digest), inner, cancel).ConfigureAwait(false);
        }
        foreach (var content in manifest.Layers.Append(manifest.Config)
            .OfType<ContentDescriptor>()
            .DistinctBy(content => content.Digest))
        {
            var answer = await connection.SendAsync(new RegistryRequest(HttpMethod.Post, target.Host, target.Path,
                $"/v2/{target.Path}/blobs/uploads/?mount={Uri.EscapeDataString(content.Digest)}" +
                $"&from={Uri.EscapeDataString(source.Path)}")
            {
                Actions = PushRights,
                Content = []
            }, cancel).ConfigureAwait(false);
            if (answer.Status == HttpStatusCode.Created) continue;
            // 202: an upload was begun instead. It is left to expire: sending layers is the push's business.
            if (answer.Status == HttpStatusCode.Accepted) return false;
            throw Refusal($"share content with \"{target.Repository}\"", answer);
        }
        return true;
    }

    private async Task<string> PutAsync(
        ImageReference target, RegistryManifest manifest, bool repeatable, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(manifest);
        var answer = await connection.SendAsync(ManifestRequest(HttpMethod.Put, target) with
        {
            Actions = PushRights,
            Content = manifest.Bytes.ToArray(),
            ContentType = manifest.MediaType,
            Accept = [],
            Repeatable = repeatable,
        }, cancel).ConfigureAwait(false);
        if (!answer.IsSuccess) throw Refusal($"write \"{target}\"", answer);
        var digest = answer.Header("Docker-Content-Digest") ?? manifest.Digest;
        if (digest != manifest.Digest)
            throw new UnavailableException("registry-protocol",
                $"the registry \"{target.Host}\" stored \"{target}\" as {digest}, not as {manifest.Digest}: " +
                "it changes manifests, so a digest means nothing there");
        hasReferrers[target.Host] = answer.Header("OCI-Subject") is not null
            || (hasReferrers.TryGetValue(target.Host, out var known) && known);
        return digest;
    }

    private async Task<PlatformImage> DescribeAsync(ImageReference reference, RegistryManifest manifest, CancellationToken cancel)
    {
        if (manifest.Config is not { } config)
            throw new UnavailableException("registry-protocol",
                $"\"{reference}\" ({manifest.Digest}) is not an image: it has no configuration");
        var labels = new Dictionary<string, string>();
        var platform = "";
        DateTimeOffset? created = null;
        if (config.MediaType is "application/vnd.oci.image.config.v1+json" or "application/vnd.docker.container.image.v1+json")
        {
            var bytes = await ReadBlobAsync(reference, config.Digest, cancel: cancel).ConfigureAwait(false);
            try
            {
                if (RegistryJson.Parse(bytes) is not JsonObject json)
                    throw RegistryJson.Wrong("it is not a JSON object");
                platform = $"{RegistryJson.Text(json["os"])}/{RegistryJson.Text(json["architecture"])}"
                    + (RegistryJson.Text(json["variant"]) is { Length: > 0 } variant ? "/" + variant : "");
                foreach (var (name, value) in (json["config"] as JsonObject)?["Labels"] as JsonObject ?? [])
                    labels[name] = RegistryJson.Text(value) ?? "";
                if (DateTimeOffset.TryParse(RegistryJson.Text(json["created"]), System.Globalization.CultureInfo.InvariantCulture,
                    System.Globalization.DateTimeStyles.AssumeUniversal, out var time)) created = time;
            }
            catch (OutsideJsonException error)
            {
                throw new UnavailableException("registry-protocol",
                    $"\"{reference}\" ({manifest.Digest}) is not an image: its configuration cannot be read ({error.Message})",
                        error);
            }
        }
        return new PlatformImage(platform, manifest.Digest, config.Digest, labels, created);
    }

    private static RegistryRequest ManifestRequest(HttpMethod method, ImageReference reference) =>
        new(method, reference.Host, reference.Path,
            $"/v2/{reference.Path}/manifests/{reference.TagOrDigest}")
        { Accept = MediaTypes.Manifests };

    // A proxy's, a token endpoint's or a mistyped path's 404 is none of these: then nothing is known, and nothing is overwritten.
    private static bool IsAbsent(RegistryAnswer answer) =>
        answer.Status == HttpStatusCode.NotFound
            && answer.Errors.Any(error => error.Code is "MANIFEST_UNKNOWN" or "NAME_UNKNOWN" or "NOT_FOUND");

    private static UnavailableException Unexpected(string verb, string what, RegistryAnswer answer) =>
        new("registry-protocol",
            $"cannot {verb} \"{what}\": the registry answers {answer.Text}; whether it exists is not known, " +
            "so nothing is assumed");

    private static RegistryRefusalException Refusal(string what, RegistryAnswer answer) =>
        new((int)answer.Status, answer.Errors is [var first, ..] ? first.Code : "",
            $"the registry refused to {what}: {answer.Text}");

    // A list that is not one must not pass for a short one: what it leaves out would count as gone.
    private static IEnumerable<string> Tags(RegistryAnswer answer, string what)
    {
        try
        {
            if (RegistryJson.Parse(answer.Body) is JsonObject json)
            {
                if (json["tags"] is null) return [];
                if (json["tags"] is JsonArray page && page.All(tag => RegistryJson.Text(tag) is not null))
                    return page.Select(tag => RegistryJson.Text(tag)!).Where(ImageReference.IsTag);
            }
        }
        catch (OutsideJsonException error)
        {
            throw new UnavailableException("registry-protocol",
                $"the registry's list of the tags of \"{what}\" is not JSON: {error.Message}", error);
        }
        throw new UnavailableException("registry-protocol",
            $"the registry's list of the tags of \"{what}\" is not an object with a list of names in \"tags\"");
    }

    // Where an upload that was begun goes on. The registry says it, and it may be anywhere.
    private static Uri UploadPlace(ImageReference repository, RegistryAnswer begun)
    {
        if (begun.Status != HttpStatusCode.Accepted) throw Refusal($"begin an upload to \"{repository.Repository}\"", begun);
        return begun.Headers.Location is { } place && Uri.TryCreate(begun.Address, place, out var address)
            && address.Scheme is "http" or "https"
            ? address
            : throw new UnavailableException("registry-protocol",
                $"the registry \"{repository.Host}\" began an upload to \"{repository.Repository}\" and does not say by an "
                    + "http or https address where it goes on");
    }

    // Link: </v2/x/tags/list?last=b&n=1000>; rel="next"
    private static string? NextPage(RegistryAnswer answer)
    {
        if (answer.Header("Link") is not { } link || !link.Contains("rel=\"next\"", StringComparison.OrdinalIgnoreCase))
            return null;
        var (from, until) = (link.IndexOf('<', StringComparison.Ordinal), link.IndexOf('>', StringComparison.Ordinal));
        return from >= 0 && until > from && Uri.TryCreate(answer.Address, link[(from + 1)..until], out var next)
            && next.Scheme is "http" or "https"
            ? next.PathAndQuery
            : throw new UnavailableException("registry-protocol",
                $"the registry says that its list goes on and not where (Link: {link})");
    }
}
