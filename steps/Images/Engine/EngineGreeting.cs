using System.Globalization;
using Docker.DotNet.Handler.Abstractions;

namespace CiSteps.Images;

/// <summary>What an engine says of itself in the answer to the first question; the library does not hand it on.</summary>
internal sealed class EngineGreeting : IAuthProvider
{
    private string? server;
    private Version? api;
    private string body = "";
    private int status;

    /// <inheritdoc />
    public bool TlsEnabled => false;

    /// <summary>Name and version, such as <c>docker 28.5.2</c>; <c>container engine</c> when it does not say.</summary>
    public string Product
    {
        get
        {
            if (server is not { Length: > 0 }) return "container engine";
            var (name, version) = server.Split(' ')[0].Split('/', 2) is [var before, var after] ? (before, after) : (server, "");
            return $"{(name == "Libpod" ? "podman" : name.ToLowerInvariant())} {version}".TrimEnd();
        }
    }

    /// <summary>The newest version of the API that it serves; null when it does not say.</summary>
    public Version? Api => api;

    /// <summary>Whether it builds with BuildKit where nobody says with what; engines before 23 do not say.</summary>
    public bool PrefersBuildKit { get; private set; }

    /// <summary>Whether the answer was a container engine's.</summary>
    public bool IsEngine => status is >= 200 and < 300 && (api is not null || body.Trim() == "OK");

    /// <summary>The answer in short, for a message.</summary>
    public string Answer
    {
        get
        {
            const int shown = 80;
            var line = body.ReplaceLineEndings(" ").Trim();
            return string.Create(CultureInfo.InvariantCulture,
                $"HTTP {status} {(line.Length > shown ? line[..shown] + "…" : line)}").TrimEnd();
        }
    }

    /// <inheritdoc />
    public HttpMessageHandler ConfigureHandler(HttpMessageHandler handler) => new Listener(this, handler);

    private sealed class Listener(EngineGreeting greeting, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request,
            CancellationToken cancellationToken)
        {
            var answer = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (request.RequestUri?.AbsolutePath.EndsWith("/_ping", StringComparison.Ordinal) is not true) return answer;
            await answer.Content.LoadIntoBufferAsync(1 << 20, cancellationToken).ConfigureAwait(false);
            greeting.status = (int)answer.StatusCode;
            greeting.body = await answer.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            greeting.server = Header(answer, "Server");
            greeting.PrefersBuildKit = Header(answer, "Builder-Version") == "2";
            greeting.api = Version.TryParse(Header(answer, "Api-Version"), out var version) ? version : null;
            return answer;
        }

        private static string Header(HttpResponseMessage answer, string name) =>
            answer.Headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : "";
    }
}
