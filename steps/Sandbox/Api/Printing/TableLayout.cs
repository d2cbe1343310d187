using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>A column of <c>kubectl get</c>; priority 1 shows with <c>-o wide</c> only.</summary>
internal sealed record Column(string Name, string Type, int Priority, Func<JsonObject, DateTimeOffset, JsonNode?> Value)
{
    public string Format { get; init; } = "";
    public string Description { get; init; } = "";
}

/// <summary>How objects of one kind appear as rows.</summary>
internal sealed class TableLayout(IReadOnlyList<Column> columns)
{
    private static readonly Column NameColumn = new("Name", "string", 0, (o, _) => o.Str("metadata", "name") ?? "")
    {
        Format = "name",
        Description = "Name must be unique within a namespace.",
    };

    private static readonly Column AgeColumn = new(
        "Age", "string", 0, (o, now) => Age.Since(o.Time("metadata", "creationTimestamp"), now))
    {
        Description = "CreationTimestamp is a timestamp representing the server time when this object was created.",
    };

    /// <summary>Name and age, for kinds without columns of their own.</summary>
    public static TableLayout Plain { get; } = new([NameColumn, AgeColumn]);

    /// <summary>Name, the given columns, and age where the marker stands.</summary>
    public static TableLayout Of(params Column?[] columns) =>
        new([NameColumn, .. columns.Select(c => c ?? AgeColumn)]);

    public static TableLayout For(ResourceType type) => BuiltInLayouts.All.GetValueOrDefault(type.StorageKey) ?? Plain;

    public JsonArray Cells(JsonObject obj, DateTimeOffset now) => new([.. columns.Select(c => c.Value(obj, now))]);

    public JsonArray Definitions() => new([.. columns.Select(c => (JsonNode?)new JsonObject
    {
        ["name"] = c.Name, ["type"] = c.Type, ["format"] = c.Format, ["description"] = c.Description, ["priority"] = c.Priority,
    })]);
}
