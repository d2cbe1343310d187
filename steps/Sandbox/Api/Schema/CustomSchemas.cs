using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Schema;

/// <summary>Makes the merge type of a custom resource from its OpenAPI schema.</summary>
internal static class CustomSchemas
{
    public static TypeSchema ForObject(JsonObject? schema)
    {
        var root = Convert(schema, true);
        root.Fields["apiVersion"] = new FieldSchema("apiVersion", new TypeSchema(SchemaKind.Text), false, false);
        root.Fields["kind"] = new FieldSchema("kind", new TypeSchema(SchemaKind.Text), false, false);
        root.Fields["metadata"] = new FieldSchema("metadata", BuiltInSchemas.ObjectMeta, false, false);
        return root;
    }

    private static TypeSchema Convert(JsonObject? schema, bool root = false)
    {
        if (schema is null)
            return root ? new TypeSchema(SchemaKind.Object) { Open = true } : TypeSchema.Any;
        if (schema.Flag("x-kubernetes-int-or-string"))
            return new TypeSchema(SchemaKind.Any);
        var embedded = schema.Flag("x-kubernetes-embedded-resource");
        switch (schema.Str("type"))
        {
            case "object" when schema.Obj("properties") is { } properties:
                var obj = new TypeSchema(SchemaKind.Object)
                {
                    Open = schema.Flag("x-kubernetes-preserve-unknown-fields"),
                    Embedded = embedded,
                    Atomic = schema.Str("x-kubernetes-map-type") == "atomic",
                };
                foreach (var (name, property) in properties)
                    obj.Fields[name] = new FieldSchema(name, Convert(property as JsonObject), false, false);
                if (embedded)
                    AddEmbedded(obj);
                return obj;
            case "object" when schema.Obj("additionalProperties") is { } values:
                return new TypeSchema(SchemaKind.Map)
                {
                    Element = Convert(values),
                    Atomic = schema.Str("x-kubernetes-map-type") == "atomic"
                };
            case "object":
                var open = new TypeSchema(SchemaKind.Object)
                {
                    Open = schema.Flag("x-kubernetes-preserve-unknown-fields") || schema.At("additionalProperties") is JsonValue,
                    Embedded = embedded,
                };
                if (embedded)
                    AddEmbedded(open);
                return open;
            case "array":
                var form = schema.Str("x-kubernetes-list-type");
                return new TypeSchema(SchemaKind.List)
                {
                    Element = Convert(schema.Obj("items")),
                    IsSet = form == "set",
                    MapKeys = form == "map" ? [.. schema.Strs("x-kubernetes-list-map-keys")] : [],
                    Atomic = form is null or "atomic",
                };
            default:
                // The schema's own validation speaks about wrong types; here they only pass.
                return TypeSchema.Any;
        }
    }

    private static void AddEmbedded(TypeSchema type)
    {
        type.Fields.TryAdd("apiVersion", new FieldSchema("apiVersion", TypeSchema.Any, false, false));
        type.Fields.TryAdd("kind", new FieldSchema("kind", TypeSchema.Any, false, false));
        type.Fields["metadata"] = new FieldSchema("metadata", BuiltInSchemas.ObjectMeta, false, false);
    }
}
