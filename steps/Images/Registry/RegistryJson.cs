using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Images;

/// <summary>
/// JSON that a registry or a helper sent: what is not sound JSON is an <see cref="OutsideJsonException"/> at once; a value of
/// another type than asked for counts as absent.
/// </summary>
internal static class RegistryJson
{
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8) => OutsideJson.Read(utf8, "");

    public static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    public static string? Text(JsonNode? node, string name) => node is JsonObject json ? Text(json[name]) : null;

    /// <summary>It is JSON, and not what the protocol says.</summary>
    public static OutsideJsonException Wrong(string what) => new("", "", JsonFault.WrongType, what);
}
