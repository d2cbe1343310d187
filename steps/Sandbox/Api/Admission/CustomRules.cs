using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Custom resources: defaults and checks by the schema of their definition.</summary>
internal static class CustomRules
{
    public static void Prepare(ResourceType type, JsonObject obj, FieldErrors errors)
    {
        if (type.Custom?.OpenApi is not { } schema)
            return;
        SchemaDefaults.Apply(schema, obj);
        SchemaPruning.Apply(schema, obj, true);
        var check = new SchemaCheck(errors);
        foreach (var (name, property) in schema.Obj("properties") ?? [])
        {
            if (name is not ("metadata" or "apiVersion" or "kind")
                && obj.TryGetPropertyValue(name, out var value)
                && property is JsonObject p)
                check.Visit(p, value, name);
        }
        foreach (var required in schema.Strs("required"))
        {
            if (obj[required] is null)
                errors.Required(required);
        }
    }
}
