using System.Text.Json;
using CiSteps.Hosting.Json;

namespace CiSteps.TestReports.Json;

/// <summary>
/// A part of a JSON report. A value of another type than the format says is an error with its place, never a value left out.
/// </summary>
internal readonly struct JsonPart(JsonElement element, string path)
{
    public string Path => path;

    public bool IsObject => element.ValueKind == JsonValueKind.Object;

    public bool Has(string name) =>
        IsObject && element.TryGetProperty(name, out var value)
            && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined);

    public bool HasArray(string name) =>
        IsObject && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array;

    public bool HasObject(string name) =>
        IsObject && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object;

    /// <summary>A text; null when it is not there.</summary>
    public string? Text(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? TextOf(value) : throw Wrong(name, "text", value);

    /// <summary>A text that must be there.</summary>
    public string Needed(string name) => Text(name) ?? throw Fault(path, $"{path} has no \"{name}\"");

    /// <summary>A number; null when it is not there.</summary>
    public double? Number(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number) ? number
            : throw Wrong(name, "number", value);

    /// <summary>A count; null when it is not there.</summary>
    public int? Count(string name) => Number(name) is not { } number ? null
        : number is >= 0 and <= int.MaxValue && Math.Floor(number) == number ? (int)number
            : throw Fault(Inside(name), $"{Inside(name)} is not a count");

    /// <summary>Milliseconds; null when it is not there.</summary>
    public TimeSpan? Milliseconds(string name) =>
        Number(name) is { } number ? number is >= 0 and < 1e12 ? TimeSpan.FromMilliseconds(number)
        : throw Fault(Inside(name), $"{Inside(name)} is not a duration") : null;

    /// <summary>Yes or no; no when it is not there.</summary>
    public bool Flag(string name) =>
        Find(name) is { } value
            && (value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
                : throw Wrong(name, "true or false", value));

    /// <summary>The parts of a list; none when it is not there.</summary>
    public IEnumerable<JsonPart> Items(string name)
    {
        if (Find(name) is not { } value) yield break;
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(name, "list", value);
        var at = 0;
        foreach (var item in value.EnumerateArray()) yield return new JsonPart(item, $"{Inside(name)}[{at++}]");
    }

    /// <summary>A list of texts, or one text; empty when it is not there.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        if (Find(name) is not { } value) return [];
        if (value.ValueKind == JsonValueKind.String) return [TextOf(value)];
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(name, "list of texts", value);
        var texts = new List<string>();
        foreach (var item in value.EnumerateArray())
            texts.Add(item.ValueKind == JsonValueKind.String ? TextOf(item)
                : throw Wrong(name, "list of texts", item));
        return texts;
    }

    /// <summary>An object; null when it is not there.</summary>
    public JsonPart? Object(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new JsonPart(value, Inside(name)) : throw Wrong(name, "object", value);

    private JsonElement? Find(string name)
    {
        if (!IsObject) throw Fault(path, $"{path} is not an object");
        return element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private string Inside(string name) => path.Length == 0 ? name : path + "." + name;

    /// <summary>A value is not what the report's format says.</summary>
    public static OutsideJsonException Fault(string path, string what) => new("", path, JsonFault.WrongType, what);

    private OutsideJsonException Wrong(string name, string wanted, JsonElement found) =>
        Fault(Inside(name), $"{Inside(name)} is not a {wanted} but {JsonMembers.Word(found.ValueKind)}");

    private static string TextOf(JsonElement value)
    {
        var text = value.GetString()!;
        return text.Length <= Xml.ReportXml.LongestText ? text
            : text[..Xml.ReportXml.LongestText] + $"\n… {text.Length - Xml.ReportXml.LongestText} more characters";
    }
}
