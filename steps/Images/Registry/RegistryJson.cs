using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Images;

/// <summary>
/// JSON that a registry or a helper sent: what is not JSON, and what has one name twice in an object, is a <see
/// cref="JsonException"/>
/// at once; a value of another type than asked for counts as absent.
/// </summary>
internal static class RegistryJson
{
    private static readonly JsonDocumentOptions options = new() { AllowDuplicateProperties = false };

    public static JsonNode? Parse(ReadOnlySpan<byte> utf8) => JsonNode.Parse(utf8, documentOptions: options);

    public static string? Text(JsonNode? node)
    {
        try
        {
            return node is JsonValue value && value.TryGetValue(out string? text) ? text : null;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair: no text that could be used for anything.
            return null;
        }
    }

    public static string? Text(JsonNode? node, string name) => node is JsonObject json ? Text(json[name]) : null;
}
