using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>
/// An object as a set of fields that managers can own. A path is a row of steps in the notation of fieldsV1
/// (<c>f:name</c>, <c>k:{"name":"x"}</c>, <c>v:"x"</c>), with a separator that no step contains.
/// </summary>
internal static class FieldPaths
{
    public const char Separator = '\u0001';

    private static readonly HashSet<string> SystemMetadata =
        [
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
            "generateName", "deletionTimestamp", "deletionGracePeriodSeconds"
        ];

    /// <summary>
    /// The fields of an object that somebody may own, with their values; items of lists stand for themselves with a null.
    /// </summary>
    public static Dictionary<string, JsonNode?> Of(TypeSchema schema, JsonObject obj, string? subresource)
    {
        var fields = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        foreach (var (name, value) in obj)
        {
            if (name is "apiVersion" or "kind"
                || (subresource is null && name == "status")
                || (subresource == "status" && name != "status"))
                continue;
            if (name == "metadata" && value is JsonObject metadata)
            {
                foreach (var (field, content) in metadata)
                {
                    if (!SystemMetadata.Contains(field))
                        Visit(
                            BuiltInSchemas.ObjectMeta.FieldType(field) ?? TypeSchema.Any,
                            content,
                            $"f:metadata{Separator}f:{field}",
                            fields);
                }
            }
            else
                Visit(schema.FieldType(name) ?? TypeSchema.Any, value, "f:" + name, fields);
        }
        return fields;
    }

    /// <summary>The step that names an item of a keyed list.</summary>
    public static string KeyStep(TypeSchema list, JsonObject item)
    {
        var key = new JsonObject();
        foreach (var name in list.MapKeys.Order(StringComparer.Ordinal))
        {
            var value = item[name]?.DeepClone() ?? (name == "protocol" ? "TCP" : null);
            if (value is not null)
                key[name] = value;
        }
        return "k:" + key.ToJsonString();
    }

    public static JsonObject ToFieldsV1(IEnumerable<string> paths)
    {
        var root = new JsonObject();
        var all = paths.ToHashSet(StringComparer.Ordinal);
        foreach (var path in all.Order(StringComparer.Ordinal))
        {
            var node = root;
            foreach (var step in path.Split(Separator))
            {
                if (node[step] is not JsonObject next)
                    node[step] = next = new JsonObject();
                node = next;
            }
        }
        MarkOwned(root, "", all);
        return root;
    }

    public static HashSet<string> FromFieldsV1(JsonObject? fields)
    {
        var paths = new HashSet<string>(StringComparer.Ordinal);
        if (fields is not null)
            Collect(fields, "", paths);
        return paths;
    }

    /// <summary>A path as messages show it.</summary>
    public static string Show(string path) =>
        string.Concat(path.Split(Separator).Select(step => step[0] switch
        {
            'f' => "." + step[2..],
            'k' =>
                "[" + string.Join(
                    ",", ((JsonObject)JsonNode.Parse(step[2..])!).Select(p => $"{p.Key}={p.Value?.ToJsonString()}")) + "]",
            'v' => $"[={step[2..]}]",
            _ => $"[{step[2..]}]",
        }));

    private static void Visit(TypeSchema schema, JsonNode? node, string path, Dictionary<string, JsonNode?> fields)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } obj
                when !schema.Atomic && schema.Kind is (SchemaKind.Object or SchemaKind.Map or SchemaKind.Any):
                foreach (var (name, value) in obj)
                    Visit(schema.FieldType(name) ?? TypeSchema.Any, value, $"{path}{Separator}f:{name}", fields);
                break;
            case JsonArray { Count: > 0 } array when schema.MapKeys.Count > 0:
                foreach (var item in array.OfType<JsonObject>())
                {
                    var itemPath = path + Separator + KeyStep(schema, item);
                    fields[itemPath] = null;
                    foreach (var (name, value) in item)
                        Visit(schema.Element?.FieldType(name) ?? TypeSchema.Any, value, $"{itemPath}{Separator}f:{name}", fields);
                }
                break;
            case JsonArray { Count: > 0 } array when schema.IsSet:
                foreach (var item in array)
                    fields[$"{path}{Separator}v:{item?.ToJsonString()}"] = null;
                break;
            default:
                fields[path] = node;
                break;
        }
    }

    private static void MarkOwned(JsonObject node, string path, HashSet<string> owned)
    {
        foreach (var (step, child) in node.ToList())
        {
            if (step == ".")
                continue;
            var childPath = path.Length == 0 ? step : path + Separator + step;
            var inner = (JsonObject)child!;
            if (inner.Count > 0)
            {
                MarkOwned(inner, childPath, owned);
                if (owned.Contains(childPath))
                    inner["."] = new JsonObject();
            }
        }
    }

    private static void Collect(JsonObject node, string path, HashSet<string> paths)
    {
        foreach (var (step, child) in node)
        {
            if (step == ".")
            {
                paths.Add(path);
                continue;
            }
            var childPath = path.Length == 0 ? step : path + Separator + step;
            if (child is JsonObject { Count: > 0 } inner)
                Collect(inner, childPath, paths);
            else
                paths.Add(childPath);
        }
    }
}
