using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>What a watch saw.</summary>
public enum ChangeKind
{
    /// <summary>The object is there, new or changed.</summary>
    Present,

    /// <summary>The object is gone.</summary>
    Gone,

    /// <summary>
    /// A fresh list begins: whatever is not named until <see cref="Synced"/> is gone. <see cref="Change.Item"/> is empty.
    /// </summary>
    Relisting,

    /// <summary>All objects that exist now have been named. <see cref="Change.Item"/> is empty.</summary>
    Synced,
}

/// <summary>One change that a watch saw.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Item">The object as it is now, or as it was last.</param>
public sealed record Change(ChangeKind Kind, JsonObject Item);

/// <content>Watches and other streams.</content>
public sealed partial class Cluster
{
    // The server ends a watch after this time and we go on from where it was; a dead connection is noticed so.
    private const int WatchSeconds = 290;

    /// <summary>
    /// Lists a collection and then follows it without end: through closed connections, expired versions and restarts of the
    /// server.
    /// </summary>
    /// <param name="path">The collection's path.</param>
    /// <param name="labels">Label selector; null for all.</param>
    /// <param name="fields">Field selector; null for all.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="ClusterApiException">The collection does not exist (404), among others.</exception>
    /// <exception cref="UnavailableException">The server stays away through all retries, or takes the right away.</exception>
    public async IAsyncEnumerable<Change> WatchAsync(
        string path, string? labels, string? fields, [EnumeratorCancellation] CancellationToken cancel)
    {
        string? version = null;
        while (true)
        {
            if (version is null)
            {
                yield return new Change(ChangeKind.Relisting, []);
                var (items, listed) = await ListAsync(path, labels, fields, cancel).ConfigureAwait(false);
                foreach (var item in items) yield return new Change(ChangeKind.Present, item);
                yield return new Change(ChangeKind.Synced, []);
                version = listed;
            }
            var url = WithQuery(path, ("labelSelector", labels), ("fieldSelector", fields), ("watch", "true"),
                ("resourceVersion", version),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", WatchSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture)));
            await foreach (var line in LinesAsync(url, cancel).ConfigureAwait(false))
            {
                if (ReadChange(line) is not ({ } type, { } item))
                {
                    version = null;
                    break;
                }
                if (type == "ERROR")
                {
                    // 410 Gone: the version is too old. Any other status: what was listed may not be what is watched. A fresh
                    // list mends both.
                    version = null;
                    break;
                }
                version = item.Text("metadata", "resourceVersion") ?? version;
                if (type is "ADDED" or "MODIFIED") yield return new Change(ChangeKind.Present, item);
                else if (type == "DELETED") yield return new Change(ChangeKind.Gone, item);
            }
        }
    }

    /// <summary>
    /// The lines of a streaming answer, until the server closes it or the connection breaks. Opening is retried; breaking in the
    /// middle just ends it.
    /// </summary>
    /// <exception cref="ClusterApiException">Any answer but 2xx; 410 reads as an ERROR line.</exception>
    internal async IAsyncEnumerable<string> LinesAsync(string url, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var response = await OpenAsync(url, cancel).ConfigureAwait(false);
        if (response is null)
        {
            yield return """{"type":"ERROR","object":{"code":410}}""";
            yield break;
        }
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false));
        while (true)
        {
            string? line;
            try
            {
                line = await reader.ReadLineAsync(cancel).ConfigureAwait(false);
            }
            catch (Exception error) when (error is IOException or HttpRequestException)
            {
                line = null;
            }
            if (line is null) yield break;
            if (line.Length > 0) yield return line;
        }
    }

    private async Task<HttpResponseMessage?> OpenAsync(string url, CancellationToken cancel)
    {
        try
        {
            return await retry.ExecuteAsync(async token =>
            {
                var answer = await SendAsync(
                    HttpMethod.Get, url, null, JsonType, "application/json, */*", token).ConfigureAwait(false);
                if (answer.IsSuccessStatusCode) return answer;
                using (answer)
                    throw Failure(answer, await answer.Content.ReadAsStringAsync(token).ConfigureAwait(false), "GET " + url);
            }, cancel).ConfigureAwait(false);
        }
        catch (ClusterApiException gone) when (gone.Code == 410)
        {
            return null;
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw Unreachable(error);
        }
        catch (BusyException busy)
        {
            throw new UnavailableException(
                "cluster-unreachable",
                $"the API server {Server} did not do \"GET {url}\": {busy.Message}; try again when the cluster is well",
                busy);
        }
    }

    private static (string? Type, JsonObject? Object) ReadChange(string line)
    {
        try
        {
            var change = OutsideJson.ReadObject(line, "a line of a watch");
            return (change.Text("type"), change.Map("object"));
        }
        catch (OutsideJsonException)
        {
            // A line cut off by a broken connection, or by what stands in between: a fresh list says what there is.
            return (null, null);
        }
    }
}
