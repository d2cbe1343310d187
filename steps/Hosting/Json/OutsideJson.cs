using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace CiSteps.Hosting.Json;

/// <summary>How much of JSON from outside is read.</summary>
/// <param name="Bytes">The largest document.</param>
/// <param name="Depth">The deepest nesting of objects and lists.</param>
public sealed record JsonLimits(long Bytes, int Depth = 64)
{
    /// <summary>32 MiB and 64 levels: what a step, an engine or a registry writes is smaller by far.</summary>
    public static JsonLimits Standard { get; } = new(32L << 20);

    /// <summary>
    /// Whether an object may have one name twice; the last one counts. Only for files whose owner reads them so.
    /// </summary>
    public bool AllowsDuplicates { get; init; }

    /// <summary>Whether names are the same in any case. Only for files whose owner reads them so.</summary>
    public bool IgnoresCase { get; init; }
}

/// <summary>
/// JSON that others wrote, read whole or not at all: what is returned has no broken texts, no name twice and nothing behind its
/// end, so that no fault of the document shows later. Whatever is wrong is an <see cref="OutsideJsonException"/>.
/// </summary>
public static class OutsideJson
{
    // Where a document that is still in use came from: a member that is missing later is told with it.
    private static readonly ConditionalWeakTable<JsonNode, string> Documents = [];

    /// <summary>Reads an object.</summary>
    /// <param name="utf8">The document in UTF-8, with or without a byte order mark.</param>
    /// <param name="document">What it is, for people.</param>
    /// <param name="limits">How much is read; <see cref="JsonLimits.Standard"/> when left out.</param>
    /// <exception cref="OutsideJsonException">It is not a sound JSON object.</exception>
    public static JsonObject ReadObject(ReadOnlySpan<byte> utf8, string document, JsonLimits? limits = null) =>
        Read(utf8, document, limits) as JsonObject ?? throw NotAnObject(document);

    /// <inheritdoc cref="ReadObject(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    public static JsonObject ReadObject(string text, string document, JsonLimits? limits = null) =>
        ReadObject(Utf8Of(text, document), document, limits);

    /// <summary>Reads a document of any kind; null is JSON's own null.</summary>
    /// <inheritdoc cref="ReadObject(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    public static JsonNode? Read(ReadOnlySpan<byte> utf8, string document, JsonLimits? limits = null)
    {
        limits ??= JsonLimits.Standard;
        var body = Body(utf8, document, limits);
        try
        {
            var nodes = new JsonNodeOptions { PropertyNameCaseInsensitive = limits.IgnoresCase };
            var read = limits.AllowsDuplicates ? LastOfTwo(body, nodes, limits) : JsonNode.Parse(body, nodes, Options(limits));
            if (read is not null) Documents.AddOrUpdate(read, document);
            return read;
        }
        catch (Exception error) when (IsOfTheParser(error))
        {
            throw JsonDiagnosis.Of(body, document, limits, error);
        }
    }

    /// <inheritdoc cref="Read(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    public static JsonNode? Read(string text, string document, JsonLimits? limits = null) =>
        Read(Utf8Of(text, document), document, limits);

    /// <summary>Reads an object to the end of a stream, and not more of it than the limit.</summary>
    /// <inheritdoc cref="ReadObject(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    public static async Task<JsonObject> ReadObjectAsync(
        Stream stream, string document, JsonLimits limits, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(limits);
        var buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            var length = 0;
            while (await stream.ReadAsync(buffer.AsMemory(length), cancel).ConfigureAwait(false) is var read and > 0)
            {
                length += read;
                if (length > limits.Bytes) throw TooLarge(document, limits);
                if (length < buffer.Length) continue;
                var larger = ArrayPool<byte>.Shared.Rent(checked(buffer.Length * 2));
                buffer.CopyTo(larger, 0);
                ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
                buffer = larger;
            }
            // No answer at all is an empty object to whoever has nothing to answer.
            return length == 0 ? [] : ReadObject(buffer.AsSpan(0, length), document, limits);
        }
        finally
        {
            // Secrets pass here.
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }

    /// <summary>Reads an object of a file. A named pipe has no length and would never end: it counts as empty.</summary>
    /// <inheritdoc cref="ReadObject(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static JsonObject ReadObjectFile(string path, JsonLimits? limits = null) =>
        ReadObject(ReadFile(path, limits), $"\"{path}\"", limits);

    /// <summary>The bytes of a file that is one and is not too large.</summary>
    /// <exception cref="OutsideJsonException">It is empty, not a regular file, or too large.</exception>
    public static byte[] ReadFile(string path, JsonLimits? limits = null)
    {
        limits ??= JsonLimits.Standard;
        // The length of a link is that of its own text; what it points to may be a device that never ends.
        var file = new FileInfo(path);
        var length = file.ResolveLinkTarget(returnFinalTarget: true) is { } target ? new FileInfo(target.FullName).Length
            : file.Length;
        if (length == 0)
            throw new OutsideJsonException($"\"{path}\"", "", JsonFault.Truncated, "it is empty, or not a regular file");
        if (length > limits.Bytes) throw TooLarge($"\"{path}\"", limits);
        using var stream = File.OpenRead(path);
        // A file can grow while it is read.
        var bytes = new byte[length + 1];
        var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        while (read == bytes.Length)
        {
            if (read > limits.Bytes) throw TooLarge($"\"{path}\"", limits);
            Array.Resize(ref bytes, bytes.Length * 2);
            read += stream.ReadAtLeast(bytes.AsSpan(read), bytes.Length - read, throwOnEndOfStream: false);
        }
        return bytes[..read];
    }

    /// <summary>Reads a document that is looked through once, without an object for each of its values.</summary>
    /// <inheritdoc cref="ReadObject(ReadOnlySpan{byte}, string, JsonLimits?)"/>
    public static JsonDocument ReadDocument(ReadOnlyMemory<byte> utf8, string document, JsonLimits? limits = null)
    {
        limits ??= JsonLimits.Standard;
        var body = utf8[^Body(utf8.Span, document, limits).Length..];
        try
        {
            return JsonDocument.Parse(body, Options(limits));
        }
        catch (Exception error) when (IsOfTheParser(error))
        {
            throw JsonDiagnosis.Of(body.Span, document, limits, error);
        }
    }

    /// <inheritdoc cref="ReadDocument(ReadOnlyMemory{byte}, string, JsonLimits?)"/>
    public static JsonDocument ReadDocument(string text, string document, JsonLimits? limits = null) =>
        ReadDocument(Utf8Of(text, document), document, limits);

    /// <summary>A part of a document as a type of ours; null is JSON's own null.</summary>
    /// <exception cref="OutsideJsonException">It has another shape.</exception>
    public static T? As<T>(this JsonNode? node, JsonTypeInfo<T> type) where T : class
    {
        if (node is null) return null;
        try
        {
            return node.Deserialize(type);
        }
        catch (Exception error) when (IsOfTheParser(error) || error is FormatException or NotSupportedException)
        {
            var inside = (error as JsonException)?.Path?.TrimStart('$').TrimStart('.') ?? "";
            throw new OutsideJsonException(DocumentOf(node), inside, JsonFault.WrongType,
                (inside.Length == 0 ? "" : inside + ": ") + error.Message, error);
        }
    }

    internal static string DocumentOf(JsonNode node) => Documents.TryGetValue(node.Root, out var document) ? document : "";

    // An object that is made of a document on demand takes no name twice.
    private static JsonNode? LastOfTwo(ReadOnlySpan<byte> utf8, JsonNodeOptions nodes, JsonLimits limits)
    {
        using var parsed = JsonDocument.Parse(utf8.ToArray(), Options(limits));
        return Copy(parsed.RootElement);

        JsonNode? Copy(JsonElement element)
        {
            switch (element.ValueKind)
            {
                case JsonValueKind.Null:
                    return null;
                case JsonValueKind.Object:
                    var map = new JsonObject(nodes);
                    foreach (var member in element.EnumerateObject()) map[member.Name] = Copy(member.Value);
                    return map;
                case JsonValueKind.Array:
                    return new JsonArray([.. element.EnumerateArray().Select(Copy)]);
                default:
                    return JsonValue.Create(element.Clone());
            }
        }
    }

    private static JsonDocumentOptions Options(JsonLimits limits) =>
        new() { AllowDuplicateProperties = limits.AllowsDuplicates, MaxDepth = limits.Depth };

    private static bool IsOfTheParser(Exception error) =>
        error is JsonException or InvalidOperationException or ArgumentException;

    // What the parser leaves for later is looked at now: texts are taken apart only when somebody asks for them. Half a
    // surrogate pair can only stand as an escape, so that most documents are not read twice.
    private static ReadOnlySpan<byte> Body(ReadOnlySpan<byte> utf8, string document, JsonLimits limits)
    {
        if (utf8.Length > limits.Bytes) throw TooLarge(document, limits);
        if (utf8.StartsWith("\uFEFF"u8)) utf8 = utf8[3..];
        if (utf8.Trim(" \t\r\n"u8).IsEmpty)
            throw new OutsideJsonException(document, "", JsonFault.Truncated, "it is empty");
        if (!Utf8.IsValid(utf8)) throw JsonDiagnosis.Of(utf8, document, limits, null);
        var isUnchecked = HasSurrogateEscape(utf8) || limits is { IgnoresCase: true, AllowsDuplicates: false };
        if (isUnchecked && JsonDiagnosis.Find(utf8, document, limits, null) is { } found) throw found;
        return utf8;
    }

    private static bool HasSurrogateEscape(ReadOnlySpan<byte> utf8) =>
        utf8.IndexOf("\\ud"u8) >= 0 || utf8.IndexOf("\\uD"u8) >= 0;

    private static byte[] Utf8Of(string text, string document)
    {
        ArgumentNullException.ThrowIfNull(text);
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetBytes(text);
        }
        catch (EncoderFallbackException error)
        {
            throw new OutsideJsonException(document, "", JsonFault.BrokenText, "it has half of a surrogate pair in it", error);
        }
    }

    private static OutsideJsonException NotAnObject(string document) =>
        new(document, "", JsonFault.WrongType, "it is not a JSON object");

    private static OutsideJsonException TooLarge(string document, JsonLimits limits) => new(document, "", JsonFault.TooLarge,
        limits.Bytes >= 1 << 20 ? $"it is larger than {limits.Bytes >> 20} MiB" : $"it is larger than {limits.Bytes} bytes");
}
