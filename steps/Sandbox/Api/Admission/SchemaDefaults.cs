using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Fills in what a schema gives by default.</summary>
internal static class SchemaDefaults
{
    public static void Apply(JsonObject schema, JsonNode? node)
    {
        switch (node)
        {
            case JsonObject obj:
                foreach (var (name, property) in schema.Obj("properties") ?? [])
                {
                    if (property is not JsonObject p)
                        continue;
                    if (p["default"] is { } value && (!obj.ContainsKey(name) || (obj[name] is null && !p.Flag("nullable"))))
                        obj[name] = value.DeepClone();
                    Apply(p, obj[name]);
                }
                if (schema.Obj("additionalProperties") is { } values)
                {
                    foreach (var (name, value) in obj.ToList())
                    {
                        if (schema.Obj("properties")?.ContainsKey(name) != true)
                            Apply(values, value);
                    }
                }
                break;
            case JsonArray array when schema.Obj("items") is { } items:
                foreach (var item in array)
                    Apply(items, item);
                break;
        }
    }
}
