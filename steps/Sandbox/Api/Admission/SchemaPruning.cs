using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Drops what a schema does not know.</summary>
internal static class SchemaPruning
{
    public static void Apply(JsonObject schema, JsonNode? node, bool resource)
    {
        switch (node)
        {
            case JsonObject obj:
                var keep = schema.Flag("x-kubernetes-preserve-unknown-fields");
                resource |= schema.Flag("x-kubernetes-embedded-resource");
                var properties = schema.Obj("properties");
                var values = schema.Obj("additionalProperties");
                var open = keep || schema.Flag("additionalProperties");
                foreach (var (name, value) in obj.ToList())
                {
                    if (resource && name is "apiVersion" or "kind" or "metadata")
                        continue;
                    if (properties.Obj(name) is { } property)
                        Apply(property, value, false);
                    else if (values is not null)
                        Apply(values, value, false);
                    else if (!open)
                        obj.Remove(name);
                }
                break;
            case JsonArray array when schema.Obj("items") is { } items:
                foreach (var item in array)
                    Apply(items, item, false);
                break;
        }
    }
}
