using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using YamlDotNet.Core;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Reads request bodies: JSON or YAML, up to the size that Kubernetes takes.</summary>
internal static class BodyReader
{
    private const int Limit = 3 << 20;

    public static string MediaType(HttpRequest request)
    {
        var type = request.ContentType ?? "";
        var end = type.IndexOf(';', StringComparison.Ordinal);
        return (end < 0 ? type : type[..end]).Trim().ToLowerInvariant();
    }

    public static async Task<byte[]> BytesAsync(HttpContext context)
    {
        using var buffer = new MemoryStream();
        var chunk = new byte[16384];
        int read;
        while ((read = await context.Request.Body.ReadAsync(chunk, context.RequestAborted).ConfigureAwait(false)) > 0)
        {
            buffer.Write(chunk, 0, read);
            if (buffer.Length > Limit)
                throw new ApiException(413, "RequestEntityTooLarge", $"Request entity too large: limit is {Limit}");
        }
        return buffer.ToArray();
    }

    /// <summary>The object in the body of a create, update or delete; null for an empty body.</summary>
    public static async Task<JsonObject?> ObjectAsync(HttpContext context)
    {
        var media = MediaType(context.Request);
        var bytes = await BytesAsync(context).ConfigureAwait(false);
        if (bytes.Length == 0)
            return null;
        if (media is not ("" or "application/json" or "application/yaml" or "application/vnd.kubernetes.protobuf"))
            throw Unsupported(media, "application/json", "application/yaml");
        if (media == "application/vnd.kubernetes.protobuf")
            return ProtobufBody.Read(bytes);
        return (media == "application/yaml" ? Yaml(bytes) : Json(bytes)) as JsonObject
            ?? throw ApiException.BadRequest("the object provided is unrecognized (must be of type object)");
    }

    public static JsonNode? Json(byte[] bytes)
    {
        try
        {
            var node = JsonNode.Parse(bytes);
            Touch(node);
            return node;
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw ApiException.BadRequest($"the object provided is unrecognized: {e.Message}");
        }
    }

    public static JsonNode? Yaml(byte[] bytes)
    {
        try
        {
            return YamlBody.Read(Encoding.UTF8.GetString(bytes));
        }
        catch (YamlException e)
        {
            throw ApiException.BadRequest($"error converting YAML to JSON: {e.Message}");
        }
    }

    public static ApiException Unsupported(string media, params string[] accepted) =>
        new(415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: " +
            $"{string.Join(", ", accepted)} (got \"{media}\")");

    /// <summary>Parsing is lazy: a duplicate key would only surface later, in the middle of the work.</summary>
    private static void Touch(JsonNode? node)
    {
        if (node is JsonObject obj)
        {
            foreach (var (_, value) in obj)
                Touch(value);
        }
        else if (node is JsonArray array)
        {
            foreach (var item in array)
                Touch(item);
        }
    }
}
