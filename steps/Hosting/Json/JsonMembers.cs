using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Hosting.Json;

/// <summary>
/// Members of JSON from outside. What is absent, or JSON's null, is null; what is of another type than asked for is an <see
/// cref="OutsideJsonException"/> that names the place.
/// </summary>
public static class JsonMembers
{
    /// <summary>A member of members.</summary>
    /// <exception cref="OutsideJsonException">Something on the way is not an object.</exception>
    public static JsonNode? Member(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (node is null) return null;
            node = (node as JsonObject ?? throw Wrong(node, "an object"))[name];
        }
        return node;
    }

    /// <summary>A text.</summary>
    /// <exception cref="OutsideJsonException">It is something else.</exception>
    public static string? Text(this JsonNode? node, params ReadOnlySpan<string> path) => node.Member(path) is not { } found ? null
        : found is JsonValue value && value.TryGetValue(out string? text) ? text : throw Wrong(found, "a text");

    /// <summary>A whole number.</summary>
    /// <exception cref="OutsideJsonException">It is something else.</exception>
    public static long? Number(this JsonNode? node, params ReadOnlySpan<string> path) => node.Member(path) is not { } found ? null
        : found is JsonValue value && value.TryGetValue(out long number) ? number
        : found is JsonValue other && other.TryGetValue(out int small) ? small : throw Wrong(found, "a whole number");

    /// <summary>Yes or no.</summary>
    /// <exception cref="OutsideJsonException">It is something else.</exception>
    public static bool? Flag(this JsonNode? node, params ReadOnlySpan<string> path) => node.Member(path) is not { } found ? null
        : found is JsonValue value && value.TryGetValue(out bool flag) ? flag : throw Wrong(found, "true or false");

    /// <summary>An object.</summary>
    /// <exception cref="OutsideJsonException">It is something else.</exception>
    public static JsonObject? Map(this JsonNode? node, params ReadOnlySpan<string> path) => node.Member(path) is not { } found
        ? null : found as JsonObject ?? throw Wrong(found, "an object");

    /// <summary>A list.</summary>
    /// <exception cref="OutsideJsonException">It is something else.</exception>
    public static JsonArray? List(this JsonNode? node, params ReadOnlySpan<string> path) => node.Member(path) is not { } found
        ? null : found as JsonArray ?? throw Wrong(found, "a list");

    /// <summary>The objects of a list; none when it is absent.</summary>
    /// <exception cref="OutsideJsonException">It is something else, or has something else in it.</exception>
    public static IEnumerable<JsonObject> Objects(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.List(path) is { } list
            ? list.Select((item, at) => item as JsonObject ?? throw Wrong(list, at, item, "an object"))
            : [];

    /// <summary>The texts of a list; none when it is absent.</summary>
    /// <exception cref="OutsideJsonException">It is something else, or has something else in it.</exception>
    public static IEnumerable<string> Texts(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.List(path) is { } list
            ? list.Select((item, at) => item is JsonValue value && value.TryGetValue(out string? text) ? text
                : throw Wrong(list, at, item, "a text")) : [];

    /// <summary>Where a node stands in its document, such as <c>components[2].name</c>.</summary>
    public static string PathOf(JsonNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        return node.GetPath().TrimStart('$').TrimStart('.');
    }

    private static OutsideJsonException Wrong(JsonNode found, string wanted) =>
        Wrong(OutsideJson.DocumentOf(found), PathOf(found), found, wanted);

    private static OutsideJsonException Wrong(JsonArray list, int at, JsonNode? item, string wanted) =>
        Wrong(OutsideJson.DocumentOf(list), $"{PathOf(list)}[{at}]", item, wanted);

    private static OutsideJsonException Wrong(string document, string path, JsonNode? found, string wanted) =>
        new(document, path, JsonFault.WrongType,
            $"{(path.Length == 0 ? "it" : path)} is {Word(found?.GetValueKind() ?? JsonValueKind.Null)}, not {wanted}");

    /// <summary>A kind of value, for people.</summary>
    public static string Word(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };
}
