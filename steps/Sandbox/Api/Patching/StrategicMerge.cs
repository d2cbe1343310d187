using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>Kubernetes' own patch: lists of named items merge by their key, and directives say what goes.</summary>
internal static class StrategicMerge
{
    private const string Directive = "$patch";
    private const string Retain = "$retainKeys";
    private const string DeletePrefix = "$deleteFromPrimitiveList/";
    private const string OrderPrefix = "$setElementOrder/";

    public static void Apply(TypeSchema schema, JsonObject target, JsonObject patch)
    {
        switch (patch.Str(Directive))
        {
            case "replace":
                target.Clear();
                foreach (var (name, value) in patch)
                {
                    if (name != Directive)
                        target[name] = value?.DeepClone();
                }
                return;
            case "delete":
                target.Clear();
                return;
            case null or "merge":
                break;
            case var other:
                throw ApiException.BadRequest($"unknown patch type: {other}");
        }
        if (patch[Retain] is JsonArray kept)
        {
            var names = kept.Select(n => n.Str()).ToHashSet();
            foreach (var name in target.Select(p => p.Key).Where(n => !names.Contains(n)).ToList())
                target.Remove(name);
        }
        foreach (var (name, value) in patch)
        {
            if (name.StartsWith(DeletePrefix, StringComparison.Ordinal))
                DeleteValues(target, name[DeletePrefix.Length..], value as JsonArray);
        }
        foreach (var (name, value) in patch)
        {
            if (name is not (Directive or Retain) && !name.StartsWith('$'))
                Field(schema, target, name, value, patch[OrderPrefix + name] as JsonArray);
        }
        // An order may come without a change of the list itself.
        foreach (var (name, value) in patch)
        {
            if (name.StartsWith(OrderPrefix, StringComparison.Ordinal)
                && value is JsonArray order
                && !patch.ContainsKey(name[OrderPrefix.Length..])
                && target[name[OrderPrefix.Length..]] is JsonArray list)
                Sort(list, order, schema.FieldType(name[OrderPrefix.Length..])?.PatchKey);
        }
    }

    private static void Field(TypeSchema schema, JsonObject target, string name, JsonNode? value, JsonArray? order)
    {
        var type = schema.FieldType(name);
        switch (value)
        {
            case null:
                target.Remove(name);
                break;
            case JsonObject change when target[name] is JsonObject inner:
                Apply(type ?? TypeSchema.Any, inner, change);
                if (change.Str(Directive) == "delete")
                    target.Remove(name);
                break;
            case JsonObject change:
                var made = new JsonObject();
                Apply(type ?? TypeSchema.Any, made, change);
                if (change.Str(Directive) != "delete")
                    target[name] = made;
                break;
            case JsonArray items when type is { PatchKey: { } key }:
                if (target[name] is not JsonArray list)
                    target[name] = list = [];
                MergeItems(type.Element ?? TypeSchema.Any, key, list, items);
                if (order is not null)
                    Sort(list, order, key);
                break;
            case JsonArray items when type is { Union: true } && target[name] is JsonArray values:
                foreach (var item in items)
                {
                    if (!values.Any(v => JsonNode.DeepEquals(v, item)))
                        values.Add(item?.DeepClone());
                }
                break;
            default:
                target[name] = value.DeepClone();
                break;
        }
    }

    private static void MergeItems(TypeSchema element, string key, JsonArray list, JsonArray items)
    {
        if (items.Any(i => i.Str(Directive) == "replace"))
        {
            list.Clear();
            foreach (var item in items.Where(i => i.Str(Directive) != "replace"))
                list.Add(item?.DeepClone());
            return;
        }
        foreach (var item in items.OfType<JsonObject>())
        {
            var id = item[key]
                ?? throw ApiException.BadRequest($"map: {item.ToJsonString()} does not contain declared merge key: {key}");
            var existing = list.FirstOrDefault(l => l is JsonObject o && JsonNode.DeepEquals(o[key], id)) as JsonObject;
            if (item.Str(Directive) == "delete")
            {
                if (existing is not null)
                    list.Remove(existing);
            }
            else if (existing is not null)
                Apply(element, existing, item);
            else
            {
                var made = new JsonObject();
                Apply(element, made, item);
                list.Add((JsonNode)made);
            }
        }
    }

    private static void DeleteValues(JsonObject target, string name, JsonArray? values)
    {
        if (target[name] is not JsonArray list || values is null)
            return;
        for (var i = list.Count - 1; i >= 0; i--)
        {
            if (values.Any(v => JsonNode.DeepEquals(v, list[i])))
                list.RemoveAt(i);
        }
    }

    /// <summary>
    /// Items that the order names come in that order; the others keep their place relative to the item before them.
    /// </summary>
    private static void Sort(JsonArray list, JsonArray order, string? key)
    {
        int Rank(JsonNode? item)
        {
            var id = key is null ? item : (item as JsonObject)?[key];
            for (var i = 0; i < order.Count; i++)
            {
                if (JsonNode.DeepEquals(key is null ? order[i] : (order[i] as JsonObject)?[key], id))
                    return i;
            }
            return -1;
        }
        var ranked = new List<(JsonNode? Item, int Rank)>();
        var last = -1;
        foreach (var item in list.ToList())
        {
            var rank = Rank(item);
            if (rank >= 0)
                last = rank;
            ranked.Add((item, rank >= 0 ? rank : last));
        }
        list.Clear();
        foreach (var (item, _) in ranked.OrderBy(r => r.Rank))
            list.Add(item);
    }
}
