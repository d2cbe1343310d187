using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Checks a value against the OpenAPI schema of a custom resource, in the words of Kubernetes.</summary>
internal sealed class SchemaCheck(FieldErrors errors)
{
    public void Visit(JsonObject schema, JsonNode? node, string path)
    {
        if (node is null)
        {
            if (!schema.Flag("nullable") && schema.Str("type") is { } wanted)
                errors.WrongType(path, "null", $"{path} in body must be of type {wanted}: \"null\"");
            return;
        }
        if (!TypeFits(schema, node, path))
            return;
        if (schema["enum"] is JsonArray choices && !choices.Any(c => JsonNode.DeepEquals(c, node)))
            errors.Causes.Add(new StatusCause(
                "FieldValueNotSupported",
                $"Unsupported value: {node.ToJsonString()}: supported values: " +
                $"{string.Join(", ", choices.Select(c => c?.ToJsonString()))}",
                path));
        switch (node)
        {
            case JsonObject obj:
                Properties(schema, obj, path);
                break;
            case JsonArray array:
                Items(schema, array, path);
                break;
            default:
                if (node.GetValueKind() == JsonValueKind.String)
                    Text(schema, node.Str()!, path);
                else if (node.GetValueKind() == JsonValueKind.Number)
                    Number(schema, node, path);
                break;
        }
        Combinations(schema, node, path);
    }

    private bool TypeFits(JsonObject schema, JsonNode node, string path)
    {
        var kind = node.GetValueKind();
        if (schema.Flag("x-kubernetes-int-or-string"))
        {
            if (kind is JsonValueKind.Number or JsonValueKind.String)
                return true;
            errors.WrongType(path, node.DeepClone(), $"{path} in body must be of type integer,string: \"{NameOf(node)}\"");
            return false;
        }
        var fits = schema.Str("type") switch
        {
            "object" => kind == JsonValueKind.Object,
            "array" => kind == JsonValueKind.Array,
            "string" => kind == JsonValueKind.String,
            "boolean" => kind is JsonValueKind.True or JsonValueKind.False,
            "number" => kind == JsonValueKind.Number,
            "integer" => kind == JsonValueKind.Number && IsWhole(node),
            _ => true,
        };
        if (!fits)
            errors.WrongType(path, NameOf(node), $"{path} in body must be of type {schema.Str("type")}: \"{NameOf(node)}\"");
        return fits;
    }

    private void Properties(JsonObject schema, JsonObject obj, string path)
    {
        foreach (var required in schema.Strs("required"))
        {
            if (!obj.ContainsKey(required))
                errors.Required($"{path}.{required}");
        }
        foreach (var (name, value) in obj)
        {
            if (schema.Obj("properties", name) is { } property)
                Visit(property, value, $"{path}.{name}");
            else if (schema.Obj("additionalProperties") is { } values)
                Visit(values, value, $"{path}.{name}");
        }
        if (schema.Num("maxProperties") is { } most && obj.Count > most)
            errors.Causes.Add(new StatusCause(
                "FieldValueTooMany", $"Too many: {obj.Count}: must have at most {most} items", path));
        if (schema.Num("minProperties") is { } least && obj.Count < least)
            errors.Invalid(path, obj.Count, $"{path} in body should have at least {least} properties");
    }

    private void Items(JsonObject schema, JsonArray array, string path)
    {
        if (schema.Num("maxItems") is { } most && array.Count > most)
            errors.Causes.Add(new StatusCause(
                "FieldValueTooMany", $"Too many: {array.Count}: must have at most {most} items", path));
        if (schema.Num("minItems") is { } least && array.Count < least)
            errors.Invalid(path, array.Count, $"{path} in body should have at least {least} items");
        if (schema.Obj("items") is { } items)
        {
            for (var i = 0; i < array.Count; i++)
                Visit(items, array[i], $"{path}[{i}]");
        }
        var keys = schema.Str("x-kubernetes-list-type") == "map" ? schema.Strs("x-kubernetes-list-map-keys").ToList() : null;
        if (keys is null && schema.Str("x-kubernetes-list-type") != "set" && !schema.Flag("uniqueItems"))
            return;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < array.Count; i++)
        {
            var id = keys is null
                ? array[i]
                : new JsonObject(keys.Select(k => KeyValuePair.Create(k, array[i].At(k)?.DeepClone())));
            if (!seen.Add(id?.ToJsonString() ?? "null"))
                errors.Duplicate($"{path}[{i}]", id);
        }
    }

    private void Text(JsonObject schema, string text, string path)
    {
        if (schema.Num("maxLength") is { } most && new StringInfo(text).LengthInTextElements > most)
            errors.TooLong(path, $"may not be more than {most} bytes");
        if (schema.Num("minLength") is { } least && text.Length < least)
            errors.Invalid(path, text, $"{path} in body should be at least {least} chars long");
        if (schema.Str("pattern") is { } pattern && !Matches(pattern, text))
            errors.Invalid(path, text, $"{path} in body should match '{pattern}'");
        var good = schema.Str("format") switch
        {
            "date-time" => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, out _),
            "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", out _),
            "uuid" => Guid.TryParse(text, out _),
            "ipv4" =>
                System.Net.IPAddress.TryParse(text, out var ip)
                    && ip.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork,
            "byte" => Convert.TryFromBase64String(text, new byte[text.Length], out _),
            "duration" => Matches(@"^[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h|d|w) ?)+$|^0$", text),
            _ => true,
        };
        if (!good)
            errors.Invalid(path, text, $"{path} in body must be of type {schema.Str("format")}: \"{text}\"");
    }

    private void Number(JsonObject schema, JsonNode node, string path)
    {
        var value = Exact(node);
        if (schema["minimum"] is { } minimum
            && (value < Exact(minimum) || (schema.Flag("exclusiveMinimum") && value == Exact(minimum))))
            errors.Invalid(path, node.DeepClone(),
                $"{path} in body should be greater than{(schema.Flag("exclusiveMinimum") ? "" : " or equal to")} " +
                $"{minimum.ToJsonString()}");
        if (schema["maximum"] is { } maximum
            && (value > Exact(maximum) || (schema.Flag("exclusiveMaximum") && value == Exact(maximum))))
            errors.Invalid(path, node.DeepClone(),
                $"{path} in body should be less than{(schema.Flag("exclusiveMaximum") ? "" : " or equal to")} " +
                $"{maximum.ToJsonString()}");
        if (schema["multipleOf"] is { } multiple && Exact(multiple) is var m and not 0 && value % m != 0)
            errors.Invalid(path, node.DeepClone(), $"{path} in body should be a multiple of {multiple.ToJsonString()}");
    }

    private void Combinations(JsonObject schema, JsonNode node, string path)
    {
        bool Holds(JsonObject choice)
        {
            var trial = new FieldErrors();
            new SchemaCheck(trial).Visit(choice, node, path);
            return trial.Causes.Count == 0;
        }
        foreach (var all in schema.Objs("allOf"))
            Visit(all, node, path);
        if (schema["anyOf"] is JsonArray && !schema.Objs("anyOf").Any(Holds))
            errors.Invalid(path, NameOf(node), $"{path} in body must validate at least one schema (anyOf)");
        if (schema["oneOf"] is JsonArray && schema.Objs("oneOf").Count(Holds) != 1)
            errors.Invalid(path, NameOf(node), $"{path} in body must validate one and only one schema (oneOf)");
        if (schema.Obj("not") is { } not && Holds(not))
            errors.Invalid(path, NameOf(node), $"{path} in body must not validate the schema (not)");
    }

    private static bool Matches(string pattern, string text)
    {
        try
        {
            return Regex.IsMatch(text, pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }

    private static decimal Exact(JsonNode node) =>
        decimal.TryParse(node.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : 0;

    private static bool IsWhole(JsonNode node) => Exact(node) is var value && value == decimal.Truncate(value);

    private static string NameOf(JsonNode node) => node.GetValueKind() switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => IsWhole(node) ? "integer" : "number",
        _ => "boolean",
    };
}
