using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Hosting.Evidence;

/// <summary>JSON as others may have made it: read whole or not at all, so that nothing in it means two things or shows its faults
/// later.</summary>
internal static class StrictJson
{
    // Statements name up to some thousand tests; what is larger than this is something else.
    private const long LargestFile = 32 * 1024 * 1024;

    private static readonly JsonDocumentOptions options = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <summary>The bytes of a file that is one: a named pipe would never end, and has no length.</summary>
    /// <exception cref="FormatException">It is empty, no regular file, or too large.</exception>
    public static byte[] ReadFile(string path)
    {
        var length = new FileInfo(path).Length;
        if (length == 0) throw new FormatException("it is empty, or not a regular file");
        if (length > LargestFile) throw new FormatException($"it is larger than {LargestFile / (1024 * 1024)} MiB");
        return File.ReadAllBytes(path);
    }

    /// <summary>An object without duplicate names, broken texts and nulls in lists.</summary>
    /// <exception cref="FormatException">It is anything else.</exception>
    public static JsonObject ReadObject(byte[] bytes)
    {
        try
        {
            if (JsonNode.Parse(bytes, documentOptions: options) is not JsonObject read) throw new FormatException("it is not a " +
                "JSON object");
            Check(read);
            return read;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new FormatException(error.Message, error);
        }
    }

    // Texts are taken apart only when they are asked for: half a surrogate pair would show anywhere.
    private static void Check(JsonNode node)
    {
        switch (node)
        {
            case JsonObject map:
                foreach (var (_, value) in map)
                    if (value is not null) Check(value);
                break;
            case JsonArray list:
                foreach (var value in list) Check(value ?? throw new FormatException($"{list.GetPath()} has a null in it"));
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                _ = value.GetValue<string>();
                break;
        }
    }
}
