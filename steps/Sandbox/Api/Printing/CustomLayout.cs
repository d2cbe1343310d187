using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>Columns that a CustomResourceDefinition asks for.</summary>
internal static class CustomLayout
{
    public static TableLayout Of(JsonObject version)
    {
        var columns = version.Objs("additionalPrinterColumns").ToList();
        if (columns.Count == 0)
            return TableLayout.Plain;
        return TableLayout.Of([.. columns.Select(Column)]);
    }

    private static Column Column(JsonObject column)
    {
        var type = column.Str("type") ?? "string";
        var path = SimplePath.Parse(column.Str("jsonPath") ?? "");
        return new Column(
            column.Str("name") ?? "", type, (int)(column.Num("priority") ?? 0), (o, now) => Value(path.Values(o), type, now))
        {
            Format = column.Str("format") ?? "",
            Description = column.Str("description")
                ?? "Custom resource definition column (in JSONPath format): " + column.Str("jsonPath"),
        };
    }

    private static JsonNode? Value(IReadOnlyList<JsonNode?> values, string type, DateTimeOffset now)
    {
        if (values.Count == 0 || values[0] is not { } first)
            return null;
        if (type == "date")
            return first.Time() is { } time ? Age.Since(time, now) : "<invalid>";
        if (values.Count > 1)
            return string.Join(",", values.Select(Cells.Plain));
        return type switch
        {
            "integer" when first.GetValueKind() == JsonValueKind.Number => first.Num(),
            "number" when first.GetValueKind() == JsonValueKind.Number => first.DeepClone(),
            "boolean" when first.GetValueKind() is JsonValueKind.True or JsonValueKind.False => first.DeepClone(),
            "integer" or "number" or "boolean" => null,
            _ => Cells.Plain(first),
        };
    }
}
