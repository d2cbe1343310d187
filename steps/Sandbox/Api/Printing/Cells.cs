using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>Values that several kinds show in the same way.</summary>
internal static class Cells
{
    public const string None = "<none>";

    public static Column Text(string name, Func<JsonObject, string?> value, int priority = 0) =>
        new(name, "string", priority, (o, _) => value(o) is { Length: > 0 } text ? text : None);

    public static Column Raw(string name, Func<JsonObject, string?> value, int priority = 0) =>
        new(name, "string", priority, (o, _) => value(o) ?? "");

    public static Column Number(string name, Func<JsonObject, long?> value, int priority = 0) =>
        new(name, "integer", priority, (o, _) => value(o) ?? 0);

    public static Column Time(string name, Func<JsonObject, DateTimeOffset, string?> value, int priority = 0) =>
        new(name, "string", priority, (o, now) => value(o, now) ?? None);

    public static string Joined(IEnumerable<string> parts) => string.Join(",", parts) is { Length: > 0 } text ? text : None;

    public static string ImageNames(JsonObject podSpec) => Joined(podSpec.Objs("containers").Select(c => c.Str("image") ?? ""));

    public static string Containers(JsonObject podSpec) => Joined(podSpec.Objs("containers").Select(c => c.Str("name") ?? ""));

    public static string Labels(JsonNode? map) => Joined((map as JsonObject ?? []).Select(p => $"{p.Key}={p.Value.Str()}"));

    public static string Selector(JsonNode? selector)
    {
        var parts = (selector.Obj("matchLabels") ?? []).Select(p => $"{p.Key}={p.Value.Str()}").ToList();
        foreach (var e in selector.Objs("matchExpressions"))
        {
            var values = string.Join(",", e.Strs("values"));
            parts.Add(e.Str("operator") switch
            {
                "In" => $"{e.Str("key")} in ({values})",
                "NotIn" => $"{e.Str("key")} notin ({values})",
                "Exists" => e.Str("key") ?? "",
                _ => "!" + e.Str("key"),
            });
        }
        return Joined(parts);
    }

    public static string? Plain(JsonNode? node) => node is null ? null : node.Str() ?? node.ToJsonString();
}
