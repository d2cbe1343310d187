using System.Globalization;
using System.Text.Json.Nodes;

namespace CiSteps.Testbeds.Pool;

/// <summary>Reading members out of objects as the API server gives them: absent is null, never an exception.</summary>
internal static class JsonReading
{
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'";

    public static JsonNode? At(this JsonObject from, params ReadOnlySpan<string> path)
    {
        JsonNode? node = from;
        foreach (var member in path) node = (node as JsonObject)?[member];
        return node;
    }

    public static string? Text(this JsonObject from, params ReadOnlySpan<string> path) =>
        from.At(path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    public static long? Number(this JsonObject from, params ReadOnlySpan<string> path) =>
        from.At(path) is JsonValue value && value.TryGetValue<long>(out var whole) ? whole
            : from.At(path) is JsonValue other && other.TryGetValue<int>(out var small) ? small : null;

    public static bool Flag(this JsonObject from, params ReadOnlySpan<string> path) =>
        from.At(path) is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    public static DateTimeOffset? Time(this JsonObject from, params ReadOnlySpan<string> path) =>
        DateTimeOffset.TryParse(from.Text(path), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : null;

    public static TimeSpan? Seconds(this JsonObject from, params ReadOnlySpan<string> path) =>
        from.Number(path) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    public static string Name(this JsonObject from) => from.Text("metadata", "name") ?? "";

    public static string Uid(this JsonObject from) => from.Text("metadata", "uid") ?? "";

    /// <summary>A time as the API writes micro times.</summary>
    public static string AsText(this DateTimeOffset time) => time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);

    /// <summary>The member as an object, made when it is absent.</summary>
    public static JsonObject Ensure(this JsonObject from, string member)
    {
        if (from[member] is JsonObject found) return found;
        var made = new JsonObject();
        from[member] = made;
        return made;
    }
}
