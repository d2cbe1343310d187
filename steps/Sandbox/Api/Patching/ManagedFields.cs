using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>What one manager owns.</summary>
internal sealed record Manager(
    string Name,
    string Operation,
    string ApiVersion,
    string? Subresource,
    string Time,
    HashSet<string> Fields)
{
    public bool Same(string name, string operation, string? subresource) =>
        Name == name && Operation == operation && Subresource == subresource;
}

/// <summary>Keeps <c>metadata.managedFields</c>: who set which field last.</summary>
internal static class ManagedFields
{
    public static List<Manager> Read(JsonObject obj) => [.. obj.Objs("metadata", "managedFields")
        .Where(m => m.Str("operation") is not null)
        .Select(m => new Manager(
            m.Str("manager") ?? "", m.Str("operation")!, m.Str("apiVersion") ?? "", m.Str("subresource"), m.Str("time") ?? "",
            FieldPaths.FromFieldsV1(m.Obj("fieldsV1"))))];

    public static void Write(JsonObject obj, IEnumerable<Manager> managers)
    {
        var list = new JsonArray();
        foreach (var manager in managers.Where(m => m.Fields.Count > 0)
            .OrderBy(m => m.Operation == "Apply" ? 0 : 1)
            .ThenBy(m => m.Time, StringComparer.Ordinal)
            .ThenBy(m => m.Name, StringComparer.Ordinal))
        {
            var entry = new JsonObject
            {
                ["manager"] = manager.Name,
                ["operation"] = manager.Operation,
                ["apiVersion"] = manager.ApiVersion,
                ["time"] = manager.Time,
                ["fieldsType"] = "FieldsV1",
                ["fieldsV1"] = FieldPaths.ToFieldsV1(manager.Fields),
            };
            if (manager.Subresource is not null)
                entry["subresource"] = manager.Subresource;
            list.Add((JsonNode)entry);
        }
        if (list.Count > 0)
            obj.Ensure("metadata")["managedFields"] = list;
        else
            obj.Ensure("metadata").Remove("managedFields");
    }

    /// <summary>Records an ordinary write: what changed now belongs to the writer alone.</summary>
    public static void Record(
        ResourceType type, TypeSchema schema, JsonObject? old, JsonObject obj, string writer, string? subresource, string time)
    {
        var given = obj.At("metadata", "managedFields") as JsonArray;
        // Who sends an empty list resets the record; who sends none leaves it.
        var reset = given is not null && !given.OfType<JsonObject>().Any(m => m.Count > 0);
        if (given is null && old?.At("metadata", "managedFields") is { } kept)
            obj.Ensure("metadata")["managedFields"] = kept.DeepClone();
        if (reset && old is not null)
        {
            obj.Ensure("metadata").Remove("managedFields");
            return;
        }
        var managers = old is null ? [] : Read(obj);
        var before = old is null ? [] : FieldPaths.Of(schema, old, subresource);
        var after = FieldPaths.Of(schema, obj, subresource);
        var changed = after.Where(f => !before.TryGetValue(f.Key, out var was) || !JsonNode.DeepEquals(was, f.Value))
            .Select(f => f.Key)
            .ToHashSet(StringComparer.Ordinal);
        var removed = before.Keys.Where(k => !after.ContainsKey(k)).ToHashSet(StringComparer.Ordinal);
        if (changed.Count == 0 && removed.Count == 0)
            return;
        var result = new List<Manager>();
        var own = managers.FirstOrDefault(m => m.Same(writer, "Update", subresource))
            ?? new Manager(writer, "Update", type.ApiVersion, subresource, time, new HashSet<string>(StringComparer.Ordinal));
        foreach (var manager in managers.Where(m => !ReferenceEquals(m, own)))
        {
            manager.Fields.ExceptWith(changed);
            manager.Fields.ExceptWith(removed);
            result.Add(manager);
        }
        own.Fields.ExceptWith(removed);
        own.Fields.UnionWith(changed);
        result.Add(own with { Time = time, ApiVersion = type.ApiVersion });
        Write(obj, result);
    }
}
