using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Http;
using CiSteps.Sandbox.Api.Schema;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>OpenAPI documents of what is served, made when they are first asked for.</summary>
internal sealed class OpenApiDocuments(ClusterApi api)
{
    private const string V2Prefix = "#/definitions/";
    private const string V3Prefix = "#/components/schemas/";
    // Old kubectl asks with an @ in the type, but no client can read one in an answer.
    private const string V2Protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    private const string V2ProtobufOfLater = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

    private readonly ConcurrentDictionary<string, (long Generation, byte[] Content, string Hash)> made = new();

    public async Task<bool> HandleAsync(HttpContext context, string path)
    {
        var accept = context.Request.Headers.Accept.ToString();
        if (path == "/openapi/v2")
        {
            var binary = accept.Contains(V2Protobuf, StringComparison.Ordinal)
                || accept.Contains(V2ProtobufOfLater, StringComparison.Ordinal);
            var document = binary ? Made("v2.pb", () => OpenApiProtobuf.Encode(V2())) : Made("v2", () => V2().ToUtf8());
            var etag = $"\"{document.Hash}\"";
            context.Response.Headers.ETag = etag;
            if (context.Request.Headers.IfNoneMatch == etag)
            {
                context.Response.StatusCode = 304;
                return true;
            }
            await context.JsonAsync(200, document.Content, binary ? V2ProtobufOfLater : "application/json").ConfigureAwait(false);
            return true;
        }
        if (path == "/openapi/v3")
        {
            await context.JsonAsync(200, Index()).ConfigureAwait(false);
            return true;
        }
        var parts = path["/openapi/v3/".Length..].Split('/');
        var (group, version) = parts switch
        {
            ["api", var v] => ("", v),
            ["apis", var g, var v] => (g, v),
            _ => ("", ""),
        };
        if (!Types().Any(t => t.Group == group && t.Version == version))
            return false;
        context.Response.Headers.CacheControl = "public, immutable";
        await context.JsonAsync(
            200, Made($"v3/{group}/{version}", () => V3(group, version).ToUtf8()).Content).ConfigureAwait(false);
        return true;
    }

    private IEnumerable<ResourceType> Types() => [.. api.Types.All, .. Reviews.Types];

    private (long Generation, byte[] Content, string Hash) Made(string key, Func<byte[]> make)
    {
        var generation = api.Types.Generation;
        if (made.TryGetValue(key, out var known) && known.Generation == generation)
            return known;
        var content = make();
        var fresh = (generation, content, Convert.ToHexString(SHA512.HashData(content))[..32]);
        made[key] = fresh;
        return fresh;
    }

    private JsonObject Index()
    {
        var paths = new JsonObject();
        foreach (var (group, version) in Types().Select(t => (t.Group, t.Version)).Distinct())
        {
            var path = group.Length == 0 ? $"api/{version}" : $"apis/{group}/{version}";
            // The hash must change with the content and with nothing else; of built-in groups it never does.
            var hash = Types().Any(t => t.Group == group && t.IsCustom)
                ? Made($"v3/{group}/{version}", () => V3(group, version).ToUtf8()).Hash
                : "BUILTIN" + Router.GitVersion;
            paths[path] = new JsonObject { ["serverRelativeURL"] = $"/openapi/v3/{path}?hash={Uri.EscapeDataString(hash)}" };
        }
        return new JsonObject { ["paths"] = paths };
    }

    private JsonObject V2()
    {
        var definitions = new JsonObject();
        var paths = new JsonObject();
        foreach (var type in Types())
            AddType(definitions, paths, type, V2Prefix, false);
        return new JsonObject
        {
            ["swagger"] = "2.0",
            ["info"] = new JsonObject { ["title"] = "Kubernetes", ["version"] = Router.GitVersion },
            ["paths"] = paths,
            ["definitions"] = definitions,
        };
    }

    private JsonObject V3(string group, string version)
    {
        var schemas = new JsonObject();
        var paths = new JsonObject();
        foreach (var type in Types().Where(t => t.Group == group && t.Version == version))
            AddType(schemas, paths, type, V3Prefix, true);
        return new JsonObject
        {
            ["openapi"] = "3.0.0",
            ["info"] = new JsonObject { ["title"] = "Kubernetes", ["version"] = Router.GitVersion },
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = schemas },
        };
    }

    private static void AddType(JsonObject schemas, JsonObject paths, ResourceType type, string prefix, bool v3)
    {
        if (type.IsCustom)
            schemas[OpenApiSchemas.Name(type)] = OpenApiSchemas.Custom(schemas, type, prefix, v3);
        else
            OpenApiSchemas.AddBuiltIn(schemas, type.Schema, prefix, v3);
        OpenApiSchemas.AddBuiltIn(schemas, BuiltInSchemas.All["meta.Status"], prefix, v3);
        schemas.Obj(OpenApiSchemas.Name(type))!["x-kubernetes-group-version-kind"] = OpenApiSchemas.GroupVersionKinds(
            (type.Group, type.Version, type.Kind));
        var list = OpenApiSchemas.List(schemas, type, prefix, v3);
        list["x-kubernetes-group-version-kind"] = OpenApiSchemas.GroupVersionKinds((type.Group, type.Version, type.ListKind));
        schemas[OpenApiSchemas.ListName(type)] = list;
        OpenApiPaths.Add(paths, type, prefix, v3);
    }
}
