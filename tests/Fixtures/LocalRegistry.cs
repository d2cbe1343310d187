using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Images;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CiSteps.Fixtures;

/// <summary>How a test's registry lets people in.</summary>
public enum RegistryAccess
{
    /// <summary>Everybody may do everything.</summary>
    Open,

    /// <summary>User and password by HTTP Basic.</summary>
    Basic,

    /// <summary>A token per repository from a token server that knows user and password.</summary>
    Token,
}

/// <summary>
/// A real image registry (Debian's docker-registry) of the test's own on a free loopback port; stopped and removed at the end.
/// </summary>
public sealed class LocalRegistry : IAsyncDisposable
{
    /// <summary>User that a registry with access control knows.</summary>
    public const string User = "tester";

    /// <summary>That user's password.</summary>
    public const string Password = "of the test";

    // bcrypt of the password: the only form that the registry reads.
    private const string PasswordFile = User + ":$2b$04$/amBkHLZlMWOTTOpNiDv8.AGosb1/TqqtC7xh5LK6/VROa7G/q3sa\n";

    private readonly Process process;
    private readonly TestFolder folder;
    private readonly TokenServer? tokens;

    private LocalRegistry(Process process, TestFolder folder, TokenServer? tokens, string host) =>
        (this.process, this.folder, this.tokens, Host) = (process, folder, tokens, host);

    /// <summary><c>localhost:port</c>.</summary>
    public string Host { get; }

    /// <summary>Its user as the clients want it.</summary>
    public static RegistryCredential Credential { get; } = new(User, Password);

    /// <summary>What a token server was asked for, as scopes.</summary>
    public IReadOnlyList<string> AskedScopes => tokens?.Scopes ?? [];

    /// <summary>The next so many token requests fail with this status.</summary>
    public void FailTokens(int status, int times) => tokens!.Fail(status, times);

    /// <summary>Starts a registry; a machine without the program fails the test.</summary>
    /// <param name="access">How it lets people in.</param>
    /// <param name="readOnly">Whether it takes no pushes.</param>
    /// <param name="deletes">Whether it lets them delete.</param>
    public static async Task<LocalRegistry> StartAsync(
        RegistryAccess access = RegistryAccess.Open, bool readOnly = false, bool deletes = true)
    {
        for (var attempt = 1; ; attempt++)
        {
            var folder = new TestFolder();
            var tokens = access == RegistryAccess.Token ? await TokenServer.StartAsync(folder) : null;
            var port = FreePort();
            folder.Write("htpasswd", PasswordFile);
            var auth = access switch
            {
                RegistryAccess.Basic => $"auth:\n  htpasswd:\n    realm: test\n    path: {folder.Of("htpasswd")}\n",
                RegistryAccess.Token =>
                    $"auth:\n  token:\n    realm: {tokens!.Address}/token\n    service: test\n    issuer: " +
                    $"test\n    rootcertbundle: {folder.Of("token.pem")}\n",
                _ => "",
            };
            var configuration = folder.Write("registry.yml",
                "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: " +
                $"{folder.Of("data")}\n  delete:\n    enabled: " +
                $"{(deletes ? "true" : "false")}\n{(readOnly
                    ? "  maintenance:\n    readonly:\n      enabled: true\n"
                    : "")}http:\n " +
                $" addr: 127.0.0.1:{port}\n{auth}");
            var process = Process.Start(new ProcessStartInfo("docker-registry", ["serve", configuration])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true
            })
                ?? throw new InvalidOperationException("docker-registry did not start");
            _ = process.StandardOutput.ReadToEndAsync();
            var said = new StringBuilder();
            if (await IsListeningAsync(process, said)) return new LocalRegistry(process, folder, tokens, $"localhost:{port}");
            // Somebody else took the port in between.
            process.Dispose();
            if (tokens is not null) await tokens.DisposeAsync();
            folder.Dispose();
            if (attempt == 5) throw new InvalidOperationException($"docker-registry does not start: {said}");
        }
    }

    /// <summary>A reference in this registry.</summary>
    public ImageReference Reference(string path, string target = "1") => ImageReference.Of($"{Host}/{path}", target);

    /// <summary>A client with this registry's credentials.</summary>
    public RegistryClient Connect() =>
        RegistryClient.Open(new RegistryCredentials(Credential, [Host], new Dictionary<string, string>()));

    /// <summary>Damages a tag in the registry's store, so that it answers 500 for it.</summary>
    public void BreakTag(ImageReference tag) =>
        File.WriteAllText(
            folder.Of($"data/docker/registry/v2/repositories/{tag.Path}/_manifests/tags/{tag.Tag}/current/link"), "damaged");

    /// <summary>Puts an image without layers there.</summary>
    /// <param name="client">A client with rights.</param>
    /// <param name="name">Its name.</param>
    /// <param name="created">When it says that it was made; null when it does not say.</param>
    /// <param name="labels">Its labels.</param>
    /// <returns>Its digest.</returns>
    public static async Task<string> PutImageAsync(
        RegistryClient client, ImageReference name, string? created, params (string Name, string Value)[] labels)
    {
        var written = new JsonObject();
        foreach (var (label, value) in labels) written[label] = value;
        var json = new JsonObject
        {
            ["os"] = "linux",
            ["architecture"] = "amd64",
            ["config"] = new JsonObject { ["Labels"] = written }
        };
        if (created is not null) json["created"] = created;
        var config = await client.UploadBlobAsync(
            name, Encoding.UTF8.GetBytes(json.ToJsonString()), "application/vnd.oci.image.config.v1+json");
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = config.MediaType, ["digest"] = config.Digest, ["size"] = config.Size },
            ["layers"] = new JsonArray(),
        };
        return await client.PutManifestAsync(
            name, RegistryManifest.Read(Encoding.UTF8.GetBytes(manifest.ToJsonString()), MediaTypes.OciManifest));
    }

    /// <summary>Stops the registry and removes its data.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        if (tokens is not null) await tokens.DisposeAsync();
        folder.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task<bool> IsListeningAsync(Process process, StringBuilder said)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await process.StandardError.ReadLineAsync(limit.Token) is { } line)
        {
            said.AppendLine(line);
            if (!line.Contains("listening on", StringComparison.Ordinal)) continue;
            _ = process.StandardError.ReadToEndAsync();
            return true;
        }
        return false;
    }

    private sealed class TokenServer : IAsyncDisposable
    {
        private readonly WebApplication application;
        private readonly X509Certificate2 certificate;
        private readonly List<string> scopes = [];
        private (int Status, int Times) failing;

        private TokenServer(WebApplication application, X509Certificate2 certificate) =>
            (this.application, this.certificate) = (application, certificate);

        public string Address => application.Urls.First();

        public IReadOnlyList<string> Scopes
        {
            get
            {
                lock (scopes) return [.. scopes];
            }
        }

        public static async Task<TokenServer> StartAsync(TestFolder folder)
        {
            using var key = RSA.Create(2048);
            var request = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            var now = TimeProvider.System.GetUtcNow();
            var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
            folder.Write("token.pem", certificate.ExportCertificatePem());
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            var server = new TokenServer(builder.Build(), certificate);
            server.application.Run(server.AnswerAsync);
            await server.application.StartAsync();
            return server;
        }

        public void Fail(int status, int times) => failing = (status, times);

        public async ValueTask DisposeAsync()
        {
            await application.DisposeAsync();
            certificate.Dispose();
        }

        private async Task AnswerAsync(HttpContext context)
        {
            if (failing.Times > 0)
            {
                failing = (failing.Status, failing.Times - 1);
                context.Response.StatusCode = failing.Status;
                return;
            }
            // Engines ask for several at once, each in a parameter of its own.
            var scope = string.Join(" ", context.Request.Query["scope"].ToArray());
            if (HttpMethods.IsPost(context.Request.Method))
            {
                var form = await context.Request.ReadFormAsync();
                scope = string.Join(" ", form["scope"].ToArray());
                if (form["grant_type"] != "refresh_token" || form["refresh_token"] != "identity of the test")
                {
                    context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                    return;
                }
            }
            else if (context.Request.Headers.Authorization != "Basic " +
                Convert.ToBase64String(Encoding.UTF8.GetBytes($"{User}:{Password}")))
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                return;
            }
            lock (scopes) scopes.Add(scope);
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(new JsonObject { ["token"] = Token(scope), ["expires_in"] = 300 }.ToJsonString());
        }

        private string Token(string scope)
        {
            var access = new JsonArray();
            foreach (var one in scope.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                var parts = one.Split(':');
                var actions = new JsonArray();
                foreach (var action in parts[^1].Split(',')) actions.Add((JsonNode?)action);
                access.Add((JsonNode)new JsonObject
                {
                    ["type"] = parts[0],
                    ["name"] = string.Join(':', parts[1..^1]),
                    ["actions"] = actions
                });
            }
            var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
            var header = new JsonObject
            {
                ["typ"] = "JWT",
                ["alg"] = "RS256",
                ["x5c"] = new JsonArray((JsonNode?)Convert.ToBase64String(certificate.RawData))
            };
            var claims = new JsonObject
            {
                ["iss"] = "test",
                ["sub"] = User,
                ["aud"] = "test",
                ["exp"] = now + 300,
                ["nbf"] = now - 60,
                ["iat"] = now,
                ["jti"] = Guid.NewGuid().ToString("n"),
                ["access"] = access,
            };
            var text = Encode(header.ToJsonString()) + "." + Encode(claims.ToJsonString());
            using var key = certificate.GetRSAPrivateKey()!;
            return text + "." +
                System.Buffers.Text.Base64Url.EncodeToString(key.SignData(
                    Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
        }

        private static string Encode(string text) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
    }
}
