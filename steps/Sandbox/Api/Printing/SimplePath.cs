using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Printing;

/// <summary>The part of JSONPath that printer columns use: fields, indexes, wildcards, and filters for equality.</summary>
internal sealed class SimplePath
{
    private readonly List<string> steps = [];

    public static SimplePath Parse(string text)
    {
        var path = new SimplePath();
        var i = 0;
        while (i < text.Length)
        {
            if (text[i] == '.')
            {
                i++;
                continue;
            }
            var start = i;
            if (text[i] == '[')
            {
                var quote = '\0';
                while (i < text.Length && (text[i] != ']' || quote != '\0'))
                {
                    if (quote != '\0' ? text[i] == quote : text[i] is '\'' or '"')
                        quote = quote == '\0' ? text[i] : '\0';
                    i++;
                }
                path.steps.Add(text[start..Math.Min(++i, text.Length)]);
            }
            else
            {
                var name = new System.Text.StringBuilder();
                while (i < text.Length && text[i] is not ('.' or '['))
                {
                    if (text[i] == '\\' && i + 1 < text.Length)
                        i++;
                    name.Append(text[i++]);
                }
                path.steps.Add(name.ToString());
            }
        }
        return path;
    }

    public IReadOnlyList<JsonNode?> Values(JsonNode? root)
    {
        IEnumerable<JsonNode?> current = [root];
        foreach (var step in steps)
            current = current.SelectMany(node => Step(node, step)).ToList();
        return [.. current];
    }

    private static IEnumerable<JsonNode?> Step(JsonNode? node, string step)
    {
        if (!step.StartsWith('['))
            return step == "*"
                ? All(node)
                : node is JsonObject obj && obj.TryGetPropertyValue(step, out var value) ? [value] : [];
        var inner = step[1..^1].Trim();
        if (inner == "*")
            return All(node);
        if (inner.StartsWith("?(", StringComparison.Ordinal))
            return Filter(node, inner[2..^1]);
        if (inner.Length > 1 && inner[0] is '\'' or '"')
            return node.At(inner[1..^1]) is { } named ? [named] : [];
        return node is JsonArray array
            && int.TryParse(inner, out var index)
            && (index < 0 ? index + array.Count : index) is var at
            && at >= 0
            && at < array.Count
            ? [array[at]]
            : [];
    }

    private static IEnumerable<JsonNode?> All(JsonNode? node) => node switch
    {
        JsonArray array => array,
        JsonObject obj => obj.Select(p => p.Value),
        _ => [],
    };

    private static IEnumerable<JsonNode?> Filter(JsonNode? node, string condition)
    {
        var unequal = condition.Contains("!=", StringComparison.Ordinal);
        var parts = condition.Split(unequal ? "!=" : "==", 2);
        var path = Parse(parts[0].Trim().TrimStart('@'));
        return All(node).Where(item =>
        {
            var found = path.Values(item);
            if (parts.Length == 1)
                return found.Count > 0;
            var wanted = parts[1].Trim().Trim('\'', '"');
            return (found.Count > 0 && Cells.Plain(found[0]) == wanted) != unequal;
        });
    }
}
