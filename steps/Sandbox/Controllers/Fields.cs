using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>What controllers read of every object, beside the paths of <see cref="JsonAccess"/>.</summary>
internal static class Fields
{
    public static int Int(this JsonNode? node, int otherwise, params ReadOnlySpan<string> path) =>
        (int?)node.Num(path) ?? otherwise;

    /// <summary>A string map such as labels; empty when absent.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Map(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonObject map
            ? map.Where(p => p.Value is JsonValue v && v.GetValueKind() == JsonValueKind.String)
                .Select(p => KeyValuePair.Create(p.Key, p.Value!.GetValue<string>()))
            : [];

    public static string Name(this JsonNode node) => node.Str("metadata", "name") ?? "";

    public static string Namespace(this JsonNode node) => node.Str("metadata", "namespace") ?? "";

    public static string Uid(this JsonNode node) => node.Str("metadata", "uid") ?? "";

    public static long Generation(this JsonNode node) => node.Num("metadata", "generation") ?? 0;

    public static DateTimeOffset Created(this JsonNode node) =>
        node.Time("metadata", "creationTimestamp") ?? DateTimeOffset.MinValue;

    public static string? Label(this JsonNode node, string key) => node.Str("metadata", "labels", key);

    public static string? Annotation(this JsonNode node, string key) => node.Str("metadata", "annotations", key);

    public static bool IsBeingDeleted(this JsonNode node) => node.Str("metadata", "deletionTimestamp") is not null;

    public static ObjectKey Key(this JsonNode node) => new(node.Namespace(), node.Name());

    public static JsonObject Copy(this JsonObject source) => (JsonObject)source.DeepClone();

    /// <summary>A list of objects; every element is given up by the caller.</summary>
    public static JsonArray ListOf(IEnumerable<JsonNode> items)
    {
        var list = new JsonArray();
        foreach (var item in items)
            list.Add((JsonNode?)item);
        return list;
    }

    public static JsonArray ListOf(IEnumerable<string> items) => ListOf(items.Select(i => (JsonNode)JsonValue.Create(i)));

    public static JsonObject MapOf(IEnumerable<KeyValuePair<string, string>> pairs)
    {
        var map = new JsonObject();
        foreach (var (key, value) in pairs)
            map[key] = value;
        return map;
    }

    /// <summary>Kubernetes' metav1.MicroTime.</summary>
    public static string MicroStamp(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    /// <summary>A number or a percentage of <paramref name="total"/>, as maxSurge and maxUnavailable are written.</summary>
    public static int IntOrPercent(JsonNode? value, int total, int otherwise, bool roundUp)
    {
        if (value is not JsonValue scalar)
            return otherwise;
        if (scalar.GetValueKind() == JsonValueKind.Number)
            return scalar.Int(otherwise);
        var text = scalar.GetValueKind() == JsonValueKind.String ? scalar.GetValue<string>() : "";
        if (!text.EndsWith('%')
            || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var percent))
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var plain) ? plain : otherwise;
        var exact = percent * (long)total;
        return (int)(roundUp ? (exact + 99) / 100 : exact / 100);
    }
}

/// <summary>What a work queue holds: an object by namespace ("" when cluster-scoped) and name.</summary>
internal readonly record struct ObjectKey(string Namespace, string Name)
{
    public override string ToString() => Namespace.Length == 0 ? Name : $"{Namespace}/{Name}";
}
