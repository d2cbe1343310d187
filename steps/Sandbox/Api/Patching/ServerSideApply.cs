using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>Server-side apply: a manager states the fields that it cares about, and learns when others own them.</summary>
internal static class ServerSideApply
{
    /// <summary>
    /// The live object (null for none) with the manager's configuration in it. Throws 409 for conflicts unless forced.
    /// </summary>
    public static JsonObject Apply(
        ResourceType type,
        TypeSchema schema,
        JsonObject? live,
        JsonObject config,
        string manager,
        string? subresource,
        bool force,
        string time)
    {
        if (config.At("metadata", "managedFields") is not null)
            throw ApiException.BadRequest("metadata.managedFields must be nil");
        var merged = live is null ? new JsonObject() : (JsonObject)live.DeepClone();
        var managers = live is null ? [] : ManagedFields.Read(live);
        var wanted = FieldPaths.Of(schema, config, subresource);
        var present = live is null ? [] : FieldPaths.Of(schema, live, subresource);
        var own = managers.FirstOrDefault(m => m.Same(manager, "Apply", subresource));
        var others = managers.Where(m => !ReferenceEquals(m, own)).ToList();
        AdoptClientSideApply(live, own, others, manager, wanted);

        var conflicts = new List<(Manager Other, string Path)>();
        foreach (var (path, value) in wanted)
        {
            if (present.TryGetValue(path, out var is_) && JsonNode.DeepEquals(is_, value))
                continue;
            foreach (var other in others.Where(o => o.Fields.Contains(path)))
                conflicts.Add((other, path));
        }
        if (conflicts.Count > 0 && !force)
            throw Conflict(conflicts);
        foreach (var (other, path) in conflicts)
            other.Fields.Remove(path);

        Merge(schema, merged, config, true);
        if (own is not null)
        {
            var dropped = own.Fields.Where(p => !wanted.ContainsKey(p) && !others.Any(o => o.Fields.Contains(p))).ToList();
            foreach (var path in dropped.Select(path => Whole(path, wanted, others)).Distinct().OrderByDescending(p => p.Length))
                Remove(merged, path.Split(FieldPaths.Separator), others);
        }
        var fields = wanted.Keys.ToHashSet(StringComparer.Ordinal);
        var unchanged = own is not null && own.Fields.SetEquals(fields);
        ManagedFields.Write(
            merged,
            [.. others, new Manager(manager, "Apply", type.ApiVersion, subresource, unchanged ? own!.Time : time, fields)]);
        return merged;
    }

    /// <summary>
    /// What the same tool once wrote by client-side apply becomes the first applier's, so that moving over is not a conflict.
    /// </summary>
    private static void AdoptClientSideApply(
        JsonObject? live, Manager? own, List<Manager> others, string manager, Dictionary<string, JsonNode?> wanted)
    {
        if (own is not null
            || manager != "kubectl"
            || live?.At("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration") is null)
            return;
        foreach (var other in others.Where(
            o => o is { Name: "kubectl-client-side-apply", Operation: "Update", Subresource: null }))
            other.Fields.ExceptWith(wanted.Keys);
    }

    private static ApiException Conflict(List<(Manager Other, string Path)> conflicts)
    {
        static string By(Manager m) => $"\"{m.Name}\"" + (m.Subresource is null ? "" : $" with subresource \"{m.Subresource}\"")
            + (m.Operation == "Apply" ? "" : $" using {m.ApiVersion}");
        var groups = conflicts.GroupBy(c => By(c.Other)).ToList();
        var text = groups.Count == 1
            ? $"conflict{(conflicts.Count > 1 ? "s" : "")} with {groups[0].Key}{Fields(groups[0])}"
            : string.Join("\n", groups.Select(g => $"conflicts with {g.Key}:\n{Lines(g)}"));
        return new ApiException(409, "Conflict",
            $"Apply failed with {conflicts.Count} conflict{(conflicts.Count > 1 ? "s" : "")}: {text}")
        {
            Causes = [.. conflicts.Select(
                c => new StatusCause("FieldManagerConflict", $"conflict with {By(c.Other)}", FieldPaths.Show(c.Path)))],
        };
    }

    private static string Fields(IEnumerable<(Manager Other, string Path)> group)
    {
        var paths = group.Select(g => FieldPaths.Show(g.Path)).ToList();
        return paths.Count == 1 ? ": " + paths[0] : ":\n" + Lines(group);
    }

    private static string Lines(IEnumerable<(Manager Other, string Path)> group) =>
        string.Join("\n", group.Select(g => "- " + FieldPaths.Show(g.Path)));

    private static void Merge(TypeSchema schema, JsonObject target, JsonObject config, bool top = false)
    {
        foreach (var (name, value) in config)
        {
            var type = top && name == "metadata" ? BuiltInSchemas.ObjectMeta : schema.FieldType(name) ?? TypeSchema.Any;
            switch (value)
            {
                case JsonObject change when target[name] is JsonObject inner && !type.Atomic:
                    Merge(type, inner, change);
                    break;
                case JsonArray items when target[name] is JsonArray list && type.MapKeys.Count > 0:
                    MergeItems(type, list, items);
                    break;
                case JsonArray items when target[name] is JsonArray list && type.IsSet:
                    foreach (var item in items.Where(i => !list.Any(l => JsonNode.DeepEquals(l, i))).ToList())
                        list.Add(item?.DeepClone());
                    break;
                default:
                    target[name] = value?.DeepClone();
                    break;
            }
        }
    }

    /// <summary>The configuration's items in its order, each after what stood before it; items of others stay.</summary>
    private static void MergeItems(TypeSchema schema, JsonArray list, JsonArray items)
    {
        var byKey = new Dictionary<string, JsonObject>(StringComparer.Ordinal);
        foreach (var item in list.OfType<JsonObject>())
            byKey[FieldPaths.KeyStep(schema, item)] = item;
        foreach (var item in items.OfType<JsonObject>())
        {
            if (byKey.TryGetValue(FieldPaths.KeyStep(schema, item), out var existing))
                Merge(schema.Element ?? TypeSchema.Any, existing, item);
            else
                list.Add((JsonNode)item.DeepClone());
        }
        var order = items.OfType<JsonObject>().Select(i => FieldPaths.KeyStep(schema, i)).ToList();
        if (list.Count != order.Count)
            return;
        var sorted = list.OfType<JsonObject>().OrderBy(i => order.IndexOf(FieldPaths.KeyStep(schema, i))).ToList();
        list.Clear();
        foreach (var item in sorted)
            list.Add((JsonNode)item);
    }

    /// <summary>
    /// The largest structure around a dropped field of which nobody states anything any more: with a probe go its defaults, which
    /// nobody owns.
    /// </summary>
    private static string Whole(string path, Dictionary<string, JsonNode?> wanted, List<Manager> others)
    {
        for (var end = path.IndexOf(FieldPaths.Separator); end >= 0; end = path.IndexOf(FieldPaths.Separator, end + 1))
        {
            var outer = path[..end];
            var inside = outer + FieldPaths.Separator;
            if (outer != "f:metadata"
                && outer[(outer.LastIndexOf(FieldPaths.Separator) + 1)..].StartsWith("f:", StringComparison.Ordinal)
                && !wanted.Keys
                    .Concat(others.SelectMany(other => other.Fields))
                    .Any(stated => stated == outer || stated.StartsWith(inside, StringComparison.Ordinal)))
                return outer;
        }
        return path;
    }

    private static void Remove(JsonObject root, string[] path, List<Manager> others)
    {
        var trail = new List<(JsonNode Parent, JsonNode? Child, string Step)>();
        JsonNode? node = root;
        foreach (var step in path)
        {
            var child = Child(node, step);
            if (child is null)
                return;
            trail.Add((node!, child, step));
            node = child;
        }
        // Somebody else's field inside keeps the item.
        var prefix = string.Join(FieldPaths.Separator, path) + FieldPaths.Separator;
        if (others.Any(o => o.Fields.Any(f => f.StartsWith(prefix, StringComparison.Ordinal))))
            return;
        for (var i = trail.Count - 1; i >= 0; i--)
        {
            var (parent, child, step) = trail[i];
            // A container that is empty now goes too, as Kubernetes omits it; one with content ends the walk.
            if (i < trail.Count - 1 && child is JsonObject { Count: > 0 } or JsonArray { Count: > 0 })
                return;
            if (i < trail.Count - 1 && step[0] != 'f')
                return;
            if (parent is JsonObject obj)
                obj.Remove(step[2..]);
            else if (parent is JsonArray array && child is not null)
                array.Remove(child);
        }
    }

    private static JsonNode? Child(JsonNode? node, string step)
    {
        var text = step[2..];
        switch (step[0])
        {
            case 'f':
                return (node as JsonObject)?[text];
            case 'k':
                var key = (JsonObject)JsonNode.Parse(text)!;
                return (node as JsonArray)?.OfType<JsonObject>().FirstOrDefault(
                    o => key.All(p => JsonNode.DeepEquals(o[p.Key], p.Value) || (o[p.Key] is null && p.Key == "protocol")));
            case 'v':
                var value = JsonNode.Parse(text);
                return (node as JsonArray)?.FirstOrDefault(v => JsonNode.DeepEquals(v, value));
            default:
                return null;
        }
    }
}
