using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.TeamCity.Installing;

/// <summary>How a project's settings follow a repository.</summary>
/// <param name="IsEnabled">Whether the project has versioned settings of its own.</param>
/// <param name="RootId">The VCS root that they come from; empty when there is none.</param>
/// <param name="Format"><c>xml</c> or <c>kotlin</c>.</param>
/// <param name="BuildSettings"><c>alwaysUseCurrent</c>, <c>useCurrentByDefault</c> or <c>useFromVCS</c>.</param>
/// <param name="IsEditable">Whether the pages may change what comes from the repository.</param>
internal sealed record VersionedSettings(bool IsEnabled, string RootId, string Format, string BuildSettings, bool IsEditable);

/// <summary>What the server says of the last load from the repository.</summary>
/// <param name="Stamp">Changes with each new word.</param>
/// <param name="IsWarning">Whether the server is not content.</param>
/// <param name="Message">What the server says of it, in its words.</param>
/// <param name="Errors">What is wrong in which file.</param>
internal sealed record ImportStatus(string Stamp, bool IsWarning, string Message, IReadOnlyList<string> Errors);

/// <summary>
/// The few calls of TeamCity's REST API that an installation needs. Reads and the one PUT are repeated when the server stumbles;
/// a POST never is.
/// </summary>
internal sealed class TeamCityServer : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly HttpClient http;
    private readonly BuildLog log;
    private readonly TimeProvider time;

    /// <summary>Opens nothing yet.</summary>
    /// <param name="address">The server's address, as people open it.</param>
    /// <param name="token">An access token of a user who may administer the parent project.</param>
    /// <param name="log">Told of retries; its mask hides what must not be shown.</param>
    /// <param name="time">The clock of the pauses.</param>
    public TeamCityServer(Uri address, string token, BuildLog log, TimeProvider time)
    {
        // A redirect would carry the token to an address that nobody gave.
        http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(address.ToString().TrimEnd('/') + "/app/rest/"),
            Timeout = Limit
        };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        (Address, this.log, this.time) = (address, log, time);
    }

    /// <summary>The server's address.</summary>
    public Uri Address { get; }

    public void Dispose() => http.Dispose();

    /// <summary>
    /// How a project's settings are versioned; null when there is no such project, or the server knows no such call.
    /// </summary>
    public async Task<VersionedSettings?> FindConfigAsync(string project, CancellationToken cancel) =>
        await ReadAsync(
            $"projects/id:{project}/versionedSettings/config",
            $"read the versioned settings of \"{project}\"",
            cancel).ConfigureAwait(false) is { } config
            ? new VersionedSettings(
                Text(config, "synchronizationMode") == "enabled",
                Text(config, "vcsRootId"),
                Text(config, "format"),
                Text(config, "buildSettingsMode"),
                Text(config, "allowUIEditing") == "true")
            : null;

    /// <summary>The last word on loading the settings; null when versioned settings were never on.</summary>
    public async Task<ImportStatus?> FindStatusAsync(string project, CancellationToken cancel)
    {
        var status = await ReadAsync(
            $"projects/id:{project}/versionedSettings/status",
            $"read the import's status of \"{project}\"",
            cancel).ConfigureAwait(false);
        return status is null
            ? null
            : new ImportStatus(
                $"{Text(status, "timestamp")} {Text(status, "message")}",
                Text(status, "type") == "warn",
                Text(status, "message"),
                [.. status
                    .Objects("versionedSettingsError")
                    .Select(error => $"{Text(error, "file")}: {Text(error, "message")}".TrimStart(':', ' '))]);
    }

    /// <summary>Names of the secrets that the project holds; their values never leave the server.</summary>
    public async Task<IReadOnlySet<string>> TokensAsync(string project, CancellationToken cancel)
    {
        var tokens = await ReadAsync(
            $"projects/id:{project}/versionedSettings/tokens",
            $"read the names of the secrets of \"{project}\"",
            cancel).ConfigureAwait(false);
        return tokens.Objects("versionedSettingsToken").Select(token => Text(token, "name")).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Makes an empty project.</summary>
    public Task CreateProjectAsync(string parent, string id, string name, CancellationToken cancel) =>
        PostAsync("projects", new JsonObject
        {
            ["parentProject"] = new JsonObject { ["locator"] = $"id:{parent}" },
            ["name"] = name,
            ["id"] = id,
        }, $"make the project \"{id}\" in \"{parent}\"", cancel);

    /// <summary>Makes a VCS root.</summary>
    public Task CreateRootAsync(
        string project,
        string id,
        string name,
        string type,
        IEnumerable<KeyValuePair<string, string>> properties,
        CancellationToken cancel) =>
        PostAsync("vcs-roots", new JsonObject
        {
            ["id"] = id,
            ["name"] = name,
            ["vcsName"] = type,
            ["project"] = new JsonObject { ["id"] = project },
            ["properties"] = new JsonObject
            {
                ["property"] = new JsonArray([.. properties.Select(
                    property => (JsonNode)new JsonObject { ["name"] = property.Key, ["value"] = property.Value })]),
            },
        }, $"make the VCS root \"{id}\" in \"{project}\"", cancel);

    /// <summary>Lets a project's settings come from a VCS root: what the repository holds wins.</summary>
    public Task EnableAsync(string project, VersionedSettings wanted, CancellationToken cancel)
    {
        var body = new JsonObject
        {
            ["synchronizationMode"] = "enabled",
            ["vcsRootId"] = wanted.RootId,
            ["format"] = wanted.Format,
            ["buildSettingsMode"] = wanted.BuildSettings,
            ["allowUIEditing"] = wanted.IsEditable,
            ["storeSecureValuesOutsideVcs"] = true,
            ["showSettingsChanges"] = false,
            ["importDecision"] = "importFromVCS",
        };
        return RepeatAsync(
            HttpMethod.Put,
            $"projects/id:{project}/versionedSettings/config",
            body,
            $"switch versioned settings on in \"{project}\"",
            cancel);
    }

    /// <summary>Gives secrets to a project, by the names that its settings refer to.</summary>
    public Task PostTokensAsync(string project, IEnumerable<KeyValuePair<string, string>> secrets, CancellationToken cancel) =>
        PostAsync($"projects/id:{project}/versionedSettings/tokens", new JsonObject
        {
            ["versionedSettingsToken"] = new JsonArray([.. secrets.Select(
                secret => (JsonNode)new JsonObject { ["name"] = secret.Key, ["value"] = secret.Value })]),
        }, $"give secrets to \"{project}\"", cancel);

    /// <summary>Starts loading the settings from the repository.</summary>
    public Task LoadAsync(string project, CancellationToken cancel) =>
        PostAsync(
            $"projects/id:{project}/versionedSettings/loadSettings",
            null,
            $"load the settings of \"{project}\" from the repository",
            cancel);

    private Task<JsonObject?> ReadAsync(string path, string what, CancellationToken cancel) =>
        RepeatAsync(HttpMethod.Get, path, null, what, cancel);

    private async Task<JsonObject?> RepeatAsync(
        HttpMethod method, string path, JsonObject? body, string what, CancellationToken cancel) =>
        await Retry.Transient(failure => failure is UnavailableException, time, log)
            .ExecuteAsync(
                async stop => await SendAsync(method, path, body, what, stop).ConfigureAwait(false),
                cancel).ConfigureAwait(false);

    private async Task PostAsync(string path, JsonObject? body, string what, CancellationToken cancel)
    {
        if (await SendAsync(HttpMethod.Post, path, body, what, cancel).ConfigureAwait(false) is null)
            throw new UsageException(
                $"the server cannot {what}: it answers 404 to POST {path}; TeamCity documents this call from 2023.05 on");
    }

    private async Task<JsonObject?> SendAsync(
        HttpMethod method, string path, JsonObject? body, string what, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        if (body is not null) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        string text;
        HttpStatusCode status;
        string? elsewhere;
        try
        {
            using var answer = await http.SendAsync(request, cancel).ConfigureAwait(false);
            (status, elsewhere) = (answer.StatusCode, answer.Headers.Location?.ToString());
            text = await answer.Content.ReadAsStringAsync(cancel).ConfigureAwait(false);
        }
        catch (Exception failure)
            when (failure is HttpRequestException or TaskCanceledException && !cancel.IsCancellationRequested)
        {
            throw new UnavailableException(
                "teamcity",
                $"{Address} did not answer when asked to {what}: {failure.Message}; run again, what is done stays done",
                failure);
        }
        switch ((int)status)
        {
            case >= 200 and < 300: return Parse(text, what, method);
            case 404 when method != HttpMethod.Put: return null;
            // "Never enabled": there is no status to tell yet.
            case 400 when method == HttpMethod.Get && path.EndsWith("/status", StringComparison.Ordinal): return null;
            case 401:
                throw new UsageException(
                $"{Address} refuses the token (401); make one under your profile | Access Tokens and give it in " +
                $"{Installation.TokenVariable} or with --token-file");
            case 403:
                throw new UsageException(
                $"the token's user may not {what} (403{Words(text)}); it needs the rights of an administrator of the " +
                "parent project");
            case >= 300 and < 400:
                throw new UsageException(
                $"{Address} sends elsewhere ({(int)status} to {elsewhere}); give the address that TeamCity itself answers at");
            case 429 or >= 500:
                throw new UnavailableException("teamcity",
                $"{Address} cannot {what} now ({(int)status}{Words(text)}); run again, what is done stays done");
            default: throw new UsageException($"the server cannot {what}: {(int)status}{Words(text)}");
        }
    }

    private JsonObject Parse(string text, string what, HttpMethod method)
    {
        if (text.Length == 0) return [];
        try
        {
            var answer = OutsideJson.Read(text, $"the answer of {Address}");
            // What is read is an object; to what was written, nothing hangs on the answer.
            return method == HttpMethod.Get ? answer.Map() ?? [] : answer as JsonObject ?? [];
        }
        catch (OutsideJsonException failure)
        {
            throw new UsageException(
                $"{Address} does not answer as TeamCity does when asked to {what}: " +
                $"\"{log.Mask.Apply(text.Trim()[..Math.Min(80, text.Trim().Length)])}\"; is it TeamCity's address?",
                failure);
        }
    }

    // The server's own words: of a JSON answer the first message, of a text its first line.
    private string Words(string text)
    {
        var words = text.Trim();
        try
        {
            if (OutsideJson.ReadObject(words, "the answer").Objects("errors").FirstOrDefault() is { } error)
                words = Text(error, "message");
        }
        catch (OutsideJsonException)
        {
            // Plain text is as good.
        }
        words = words.Split('\n')[0].Trim();
        return words.Length == 0 ? "" : $", \"{log.Mask.Apply(words[..Math.Min(300, words.Length)])}\"";
    }

    // Attributes come as text, true or numbers, depending on the version.
    private static string Text(JsonObject from, string name) => from[name] is JsonValue value ? value.ToString() : "";
}
