using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>RFC 6902.</summary>
internal static class JsonPatch
{
    public static JsonNode? Apply(JsonNode? document, JsonArray patch)
    {
        foreach (var item in patch)
        {
            var path = Pointer(
                item.Str("path") ?? throw ApiException.BadRequest("error decoding patch: an operation lacks its path"));
            var op = item.Str("op");
            switch (op)
            {
                case "add":
                    document = Put(document, path, item.At("value")?.DeepClone(), true);
                    break;
                case "replace":
                    if (path.Length > 0 && !Has(document, path))
                        throw Failed($"replace operation does not apply: doc is missing key: {item.Str("path")}: missing value");
                    document = Put(document, path, item.At("value")?.DeepClone(), false);
                    break;
                case "remove":
                    Remove(document, path);
                    break;
                case "move":
                case "copy":
                    var from = Pointer(
                        item.Str("from") ?? throw ApiException.BadRequest("error decoding patch: an operation lacks its from"));
                    if (!Has(document, from))
                        throw Failed(
                            $"{op} operation does not apply: doc is missing from path: {item.Str("from")}: missing value");
                    var value = Get(document, from)?.DeepClone();
                    if (op == "move")
                        Remove(document, from);
                    document = Put(document, path, value, true);
                    break;
                case "test":
                    if (!JsonNode.DeepEquals(Has(document, path) ? Get(document, path) : null, item.At("value")))
                        throw Failed($"testing value {item.Str("path")} failed: test failed");
                    break;
                default:
                    throw ApiException.BadRequest($"error decoding patch: unexpected operation \"{op}\"");
            }
        }
        return document;
    }

    private static ApiException Failed(string why) =>
        new(422, "Invalid", $"the server rejected our request due to an error in our request: {why}");

    private static string[] Pointer(string text)
    {
        if (text.Length == 0)
            return [];
        if (text[0] != '/')
            throw ApiException.BadRequest($"error decoding patch: path \"{text}\" does not begin with a slash");
        return [.. text[1..].Split('/').Select(p => p.Replace("~1", "/").Replace("~0", "~"))];
    }

    private static bool Has(JsonNode? node, ReadOnlySpan<string> path)
    {
        foreach (var step in path)
        {
            if (node is JsonObject obj && obj.TryGetPropertyValue(step, out var next))
                node = next;
            else if (node is JsonArray array && Index(step, array.Count) is { } i && i < array.Count)
                node = array[i];
            else
                return false;
        }
        return true;
    }

    private static JsonNode? Get(JsonNode? node, ReadOnlySpan<string> path)
    {
        foreach (var step in path)
            node = node is JsonArray array ? array[Index(step, array.Count) ?? 0] : node![step];
        return node;
    }

    private static int? Index(string text, int count) =>
        text == "-" ? count : int.TryParse(text, out var i) && i >= 0 && (text == "0" || text[0] != '0') ? i : null;

    private static JsonNode? Put(JsonNode? document, string[] path, JsonNode? value, bool insert)
    {
        if (path.Length == 0)
            return value;
        var parentPath = path.AsSpan(0, path.Length - 1);
        if (!Has(document, parentPath))
            throw Failed($"add operation does not apply: doc is missing path: \"/{string.Join('/', path)}\": missing value");
        var last = path[^1];
        switch (Get(document, parentPath))
        {
            case JsonObject obj:
                obj[last] = value;
                break;
            case JsonArray array when Index(last, array.Count) is { } i && i <= array.Count:
                if (insert)
                    array.Insert(i, value);
                else
                    array[i] = value;
                break;
            default:
                throw Failed($"add operation does not apply: doc is missing path: \"/{string.Join('/', path)}\": missing value");
        }
        return document;
    }

    private static void Remove(JsonNode? document, string[] path)
    {
        if (path.Length == 0 || !Has(document, path))
            throw Failed($"remove operation does not apply: doc is missing path: \"/{string.Join('/', path)}\": missing value");
        var parent = Get(document, path.AsSpan(0, path.Length - 1));
        if (parent is JsonArray array)
            array.RemoveAt(Index(path[^1], array.Count)!.Value);
        else
            ((JsonObject)parent!).Remove(path[^1]);
    }
}
