using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>The types of the API as OpenAPI schemas.</summary>
internal static class OpenApiSchemas
{
    private static readonly Dictionary<string, string> Packages = new()
    {
        ["meta"] = "io.k8s.apimachinery.pkg.apis.meta.v1",
        ["apiextensions"] = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    };

    private static readonly string[] OnlyV3 = ["oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations"];

    /// <summary>OpenAPI's name of a built-in type.</summary>
    public static string Name(string type)
    {
        var dot = type.IndexOf('.', StringComparison.Ordinal);
        var package = type[..dot];
        return $"{Packages.GetValueOrDefault(package) ?? $"io.k8s.api.{package}.v1"}.{type[(dot + 1)..]}";
    }

    /// <summary>OpenAPI's name of a kind.</summary>
    public static string Name(ResourceType type) =>
        type.IsCustom
            ? string.Join('.', type.Group.Split('.').Reverse()) + $".{type.Version}.{type.Kind}"
            : Name(type.Schema.Name ?? "meta.Status");

    public static string ListName(ResourceType type) => Name(type) + "List";

    /// <summary>Adds a built-in type and all that it refers to.</summary>
    public static void AddBuiltIn(JsonObject schemas, TypeSchema type, string prefix, bool v3)
    {
        var name = Name(type.Name!);
        if (schemas.ContainsKey(name))
            return;
        var schema = new JsonObject { ["type"] = "object" };
        schemas[name] = schema;
        if (type.Atomic)
            schema["x-kubernetes-map-type"] = "atomic";
        var properties = new JsonObject();
        var required = new JsonArray();
        foreach (var field in type.Fields.Values)
        {
            var property = Inline(schemas, field.Type, prefix, v3);
            if (field.RetainKeys || field.Type.PatchKey is not null || field.Type.Union)
            {
                property["x-kubernetes-patch-strategy"] = (
                    field.RetainKeys, field.Type.PatchKey is not null || field.Type.Union) switch
                {
                    (true, true) => "merge,retainKeys",
                    (true, false) => "retainKeys",
                    _ => "merge",
                };
            }
            properties[field.Name] = property;
            if (field.Required)
                required.Add((JsonNode)field.Name);
        }
        if (properties.Count > 0)
            schema["properties"] = properties;
        if (required.Count > 0)
            schema["required"] = required;
    }

    /// <summary>A custom resource's own schema, completed with what every object has.</summary>
    public static JsonObject Custom(JsonObject schemas, ResourceType type, string prefix, bool v3)
    {
        var schema = type.Custom?.OpenApi is { } own
            ? (JsonObject)own.DeepClone()
            : new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true };
        if (!v3)
            Simplify(schema);
        var properties = schema.Ensure("properties");
        properties["apiVersion"] = new JsonObject { ["type"] = "string" };
        properties["kind"] = new JsonObject { ["type"] = "string" };
        AddBuiltIn(schemas, BuiltInSchemas.ObjectMeta, prefix, v3);
        properties["metadata"] = Reference(prefix, Name("meta.ObjectMeta"), v3);
        return schema;
    }

    public static JsonObject List(JsonObject schemas, ResourceType type, string prefix, bool v3)
    {
        AddBuiltIn(schemas, BuiltInSchemas.All["meta.ListMeta"], prefix, v3);
        return new JsonObject
        {
            ["type"] = "object",
            ["required"] = new JsonArray("items"),
            ["properties"] = new JsonObject
            {
                ["apiVersion"] = new JsonObject { ["type"] = "string" },
                ["kind"] = new JsonObject { ["type"] = "string" },
                ["metadata"] = Reference(prefix, Name("meta.ListMeta"), v3),
                ["items"] = new JsonObject { ["type"] = "array", ["items"] = Reference(prefix, Name(type), v3) },
            },
        };
    }

    public static JsonArray GroupVersionKinds(params (string Group, string Version, string Kind)[] kinds) =>
        new([.. kinds.Select(k =>
            (JsonNode?)new JsonObject { ["group"] = k.Group, ["kind"] = k.Kind, ["version"] = k.Version })]);

    public static JsonObject Reference(string prefix, string name, bool v3) =>
        v3 ? new JsonObject
        {
            ["allOf"] = new JsonArray(new JsonObject { ["$ref"] = prefix + name }),
            ["default"] = new JsonObject()
        }
            : new JsonObject { ["$ref"] = prefix + name };

    private static JsonObject Inline(JsonObject schemas, TypeSchema type, string prefix, bool v3)
    {
        switch (type.Kind)
        {
            case SchemaKind.Object:
                AddBuiltIn(schemas, type, prefix, v3);
                return Reference(prefix, Name(type.Name!), v3);
            case SchemaKind.Map:
                var map = new JsonObject
                {
                    ["type"] = "object",
                    ["additionalProperties"] = Inline(schemas, type.Element!, prefix, v3)
                };
                if (type.Atomic)
                    map["x-kubernetes-map-type"] = "atomic";
                return map;
            case SchemaKind.List:
                var list = new JsonObject { ["type"] = "array", ["items"] = Inline(schemas, type.Element!, prefix, v3) };
                list["x-kubernetes-list-type"] = type.MapKeys.Count > 0 ? "map" : type.IsSet ? "set" : "atomic";
                if (type.MapKeys.Count > 0)
                    list["x-kubernetes-list-map-keys"] = new JsonArray([.. type.MapKeys.Select(k => (JsonNode?)k)]);
                if (type.PatchKey is not null)
                    list["x-kubernetes-patch-merge-key"] = type.PatchKey;
                return list;
            case SchemaKind.Integer:
                return new JsonObject { ["type"] = "integer", ["format"] = type.Format };
            case SchemaKind.Number:
                return new JsonObject { ["type"] = "number", ["format"] = type.Format };
            case SchemaKind.Boolean:
                return new JsonObject { ["type"] = "boolean" };
            case SchemaKind.IntOrString:
                return v3
                    ? new JsonObject
                    {
                        ["format"] = "int-or-string",
                        ["oneOf"] = new JsonArray(new JsonObject { ["type"] = "integer" }, new JsonObject { ["type"] = "string" })
                    }
                    : new JsonObject { ["type"] = "string", ["format"] = "int-or-string" };
            case SchemaKind.Quantity:
                return v3
                    ? new JsonObject
                    {
                        ["oneOf"] = new JsonArray(new JsonObject { ["type"] = "string" }, new JsonObject { ["type"] = "number" })
                    }
                    : new JsonObject { ["type"] = "string" };
            case SchemaKind.Text:
                var text = new JsonObject { ["type"] = "string" };
                if (type.Format is not null)
                    text["format"] = type.Format == "micro-time" ? "date-time" : type.Format;
                return text;
            default:
                return [];
        }
    }

    /// <summary>OpenAPI v2 knows less: what it cannot say is left open, as Kubernetes publishes it.</summary>
    private static void Simplify(JsonObject schema)
    {
        foreach (var name in OnlyV3)
            schema.Remove(name);
        if (schema.Flag("x-kubernetes-preserve-unknown-fields") || schema.Flag("x-kubernetes-int-or-string"))
        {
            schema.Remove("items");
            if (schema.Flag("x-kubernetes-int-or-string"))
                schema.Remove("type");
        }
        foreach (var property in (schema.Obj("properties") ?? []).Select(p => p.Value).OfType<JsonObject>().ToList())
            Simplify(property);
        if (schema.Obj("items") is { } items)
            Simplify(items);
        if (schema.Obj("additionalProperties") is { } values)
            Simplify(values);
    }
}
