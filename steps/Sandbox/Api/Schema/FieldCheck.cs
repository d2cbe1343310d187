using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Schema;

/// <summary>
/// Reads an object as its type: drops fields that the type does not have and refuses values of a wrong type, as decoding does.
/// </summary>
internal sealed class FieldCheck
{
    private readonly List<UnknownField> unknown = [];
    private readonly ResourceType type;

    private FieldCheck(ResourceType type) => this.type = type;

    /// <summary>Changes the object in place; gives the paths of dropped fields. Throws 400 for wrong types.</summary>
    public static IReadOnlyList<UnknownField> Apply(ResourceType type, TypeSchema schema, JsonObject obj)
    {
        var check = new FieldCheck(type);
        check.Visit(schema, obj, "", "");
        return check.unknown;
    }

    private void Visit(TypeSchema schema, JsonNode? node, string path, string typedPath)
    {
        if (node is null || schema.Kind == SchemaKind.Any)
            return;
        switch (schema.Kind)
        {
            case SchemaKind.Object when node is JsonObject obj:
                foreach (var name in obj.Select(p => p.Key).ToList())
                {
                    if (!schema.Fields.TryGetValue(name, out var field))
                    {
                        if (schema.Open)
                            continue;
                        unknown.Add(new UnknownField(Join(path, name), $"{typedPath}.{name}"));
                        obj.Remove(name);
                    }
                    else if (obj[name] is null && !type.IsCustom)
                        obj.Remove(name);
                    else
                        Visit(field.Type, obj[name], Join(path, name), $"{typedPath}.{name}");
                }
                return;
            case SchemaKind.Map when node is JsonObject map:
                foreach (var (name, value) in map.ToList())
                    Visit(schema.Element!, value, Join(path, name), $"{typedPath}.{name}");
                return;
            case SchemaKind.List when node is JsonArray array:
                for (var i = 0; i < array.Count; i++)
                    Visit(schema.Element!, array[i], $"{path}[{i}]", $"{typedPath}[{ItemKey(schema, array[i], i)}]");
                return;
            default:
                // The schema of a custom kind speaks for itself, with better words.
                if (type.IsCustom)
                    return;
                if (!Fits(schema, node.GetValueKind()))
                    throw Mismatch(schema, node, path);
                if (schema.Kind == SchemaKind.Integer
                    && node.Num() is { } number
                    && schema.Format == "int32"
                    && number is < int.MinValue or > int.MaxValue)
                    throw Mismatch(schema, node, path);
                if (schema.Format == "byte" && !IsBase64(node.Str()!))
                    throw Bad($"illegal base64 data in field {path}");
                if (schema.Format is "date-time" or "micro-time" && node.Time() is null)
                    throw Bad($"parsing time \"{node.Str()}\" in field {path} as RFC 3339");
                return;
        }
    }

    private static bool Fits(TypeSchema schema, JsonValueKind kind) => schema.Kind switch
    {
        SchemaKind.Text => kind == JsonValueKind.String,
        SchemaKind.Integer or SchemaKind.Number => kind == JsonValueKind.Number,
        SchemaKind.Boolean => kind is JsonValueKind.True or JsonValueKind.False,
        SchemaKind.IntOrString or SchemaKind.Quantity => kind is JsonValueKind.String or JsonValueKind.Number,
        _ => false,
    };

    // Server-side apply names an item by its keys where the list has some, and by its place elsewhere.
    private static string ItemKey(TypeSchema list, JsonNode? item, int place)
    {
        if (item is not JsonObject obj || list.MapKeys.Count == 0)
            return place.ToString(CultureInfo.InvariantCulture);
        var keys = list.MapKeys.Order(StringComparer.Ordinal).Where(obj.ContainsKey);
        return string.Join(",", keys.Select(key => $"{key}={obj[key]?.ToJsonString() ?? "null"}"));
    }

    private static bool IsBase64(string text) => Convert.TryFromBase64String(text, new byte[text.Length], out _);

    private ApiException Mismatch(TypeSchema schema, JsonNode node, string path)
    {
        var wanted = schema.Kind switch
        {
            SchemaKind.Text => "string",
            SchemaKind.Integer => schema.Format ?? "int64",
            SchemaKind.Number => "float64",
            SchemaKind.Boolean => "bool",
            SchemaKind.List => "[]" + (schema.Element?.Name ?? "string"),
            SchemaKind.Map => "map[string]" + (schema.Element?.Name ?? "string"),
            _ => schema.Name ?? schema.Kind.ToString(),
        };
        var got = node.GetValueKind() switch
        {
            JsonValueKind.True or JsonValueKind.False => "bool",
            JsonValueKind.Number => "number",
            JsonValueKind.String => "string",
            JsonValueKind.Array => "array",
            _ => "object",
        };
        return Bad($"json: cannot unmarshal {got} into Go struct field {type.Kind}.{path} of type {wanted}");
    }

    private ApiException Bad(string why) =>
        ApiException.BadRequest($"{type.Kind} in version \"{type.Version}\" cannot be handled as a {type.Kind}: {why}");

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}

/// <summary>A field that a kind does not have.</summary>
/// <param name="Path">As strict decoding names it: <c>spec.containers[0].imag</c>.</param>
/// <param name="TypedPath">As server-side apply names it: <c>.spec.containers[name="c"].imag</c>.</param>
internal sealed record UnknownField(string Path, string TypedPath);
