using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace CiSteps.Clusters;

/// <summary>
/// YAML (and so JSON) as JSON, read as kubectl reads it: YAML 1.1 booleans and octal numbers, anchors, merge keys, several
/// documents.
/// </summary>
internal static class YamlDocuments
{
    // An alias may stand for a big tree many times over; nobody's manifest has this many values.
    private const int MostNodes = 500_000;

    /// <summary>All documents that hold anything, each with the line on which it begins.</summary>
    /// <param name="text">The text.</param>
    /// <param name="name">What it is called in messages.</param>
    /// <param name="fault">Whose fault it is when the text cannot be read.</param>
    /// <exception cref="UsageException">It is not YAML, or beyond reason.</exception>
    public static IReadOnlyList<(JsonNode Value, long Line)> Parse(string text, string name, Fault fault = Fault.Change)
    {
        var source = new Source(name, fault);
        var stream = new YamlStream();
        try
        {
            using var reader = new StringReader(text);
            stream.Load(reader);
            var documents = new List<(JsonNode, long)>();
            foreach (var document in stream.Documents)
            {
                var budget = MostNodes;
                if (Convert(document.RootNode, source, ref budget, 0) is { } value)
                    documents.Add((value, document.RootNode.Start.Line));
            }
            return documents;
        }
        catch (YamlException error)
        {
            var inner = error.InnerException is { } cause && error.Message.Contains("Exception", StringComparison.Ordinal)
                ? cause.Message
                : error.Message;
            throw new UsageException(
                $"{source}:{error.Start.Line}:{error.Start.Column}: this is not YAML: {inner}", error)
            { Fault = source.Fault };
        }
    }

    private static JsonNode? Convert(YamlNode node, Source source, ref int budget, int depth)
    {
        if (--budget < 0 || depth > 200)
            throw new UsageException(
                $"{source}:{node.Start.Line}: the document is nested or repeated beyond reason; write it without aliases")
            {
                Fault = source.Fault
            };
        switch (node)
        {
            case YamlScalarNode scalar:
                return Scalar(scalar);
            case YamlSequenceNode sequence:
                var array = new JsonArray();
                foreach (var item in sequence.Children) array.Add(Convert(item, source, ref budget, depth + 1));
                return array;
            case YamlMappingNode mapping:
                var result = new JsonObject();
                var merged = new List<YamlNode>();
                foreach (var (key, value) in mapping.Children)
                {
                    if (key is not YamlScalarNode name)
                        throw new UsageException(
                            $"{source}:{key.Start.Line}:{key.Start.Column}: a key must be a single word")
                        {
                            Fault = source.Fault
                        };
                    if (name.Value == "<<" && name.Style == ScalarStyle.Plain)
                    {
                        if (value is YamlSequenceNode several) merged.AddRange(several.Children);
                        else merged.Add(value);
                        continue;
                    }
                    result[name.Value ?? ""] = Convert(value, source, ref budget, depth + 1);
                }
                foreach (var from in merged)
                {
                    if (Convert(from, source, ref budget, depth + 1) is not JsonObject defaults)
                        throw new UsageException($"{source}:{from.Start.Line}: \"<<\" takes a mapping") { Fault = source.Fault };
                    foreach (var (name, value) in defaults)
                        if (!result.ContainsKey(name)) result[name] = value?.DeepClone();
                }
                return result;
            default:
                return null;
        }
    }

    private static JsonNode? Scalar(YamlScalarNode scalar)
    {
        var text = scalar.Value ?? "";
        if (!scalar.Tag.IsEmpty && scalar.Tag.Value == "tag:yaml.org,2002:str"
            || scalar.Style != ScalarStyle.Plain && scalar.Style != ScalarStyle.Any)
            return JsonValue.Create(text);
        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL":
                return null;
            case "true" or "True" or "TRUE" or "yes" or "Yes" or "YES" or "on" or "On" or "ON" or "y" or "Y":
                return JsonValue.Create(true);
            case "false" or "False" or "FALSE" or "no" or "No" or "NO" or "off" or "Off" or "OFF" or "n" or "N":
                return JsonValue.Create(false);
        }
        if (!char.IsAsciiDigit(text[0]) && text[0] is not ('-' or '+' or '.')) return JsonValue.Create(text);
        return Number(text.Replace("_", "", StringComparison.Ordinal)) ?? JsonValue.Create(text);
    }

    private static JsonValue? Number(string text)
    {
        var negative = text.StartsWith('-');
        var digits = negative || text.StartsWith('+') ? text[1..] : text;
        if (digits.Length == 0) return null;
        long? whole = digits switch
        {
            ['0', 'x' or 'X', .. var hex]
                when long.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) =>
                value,
            ['0', 'o', .. var octal] => FromBase(octal, 8),
            ['0', 'b', .. var binary] => FromBase(binary, 2),
            ['0', _, ..] when digits.All(char.IsAsciiDigit) => FromBase(digits, 8),
            _ when digits.All(char.IsAsciiDigit)
                && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value) =>
                value,
            _ => null,
        };
        if (whole is { } number) return JsonValue.Create(negative ? -number : number);
        // "1.2.3" or "2024-01-01" stay text; so does what JSON cannot say (.inf, .nan).
        return digits.All(letter => char.IsAsciiDigit(letter) || letter is '.' or 'e' or 'E' or '+' or '-')
            && digits.Any(char.IsAsciiDigit)
            && char.IsAsciiDigit(digits[^1]) | digits[^1] == '.'
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real)
                ? JsonValue.Create(real)
                : null;
    }

    private static long? FromBase(string digits, int from)
    {
        long value = 0;
        foreach (var digit in digits)
        {
            if (digit < '0' || digit >= '0' + from || value > long.MaxValue / from - from) return null;
            value = value * from + (digit - '0');
        }
        return digits.Length > 0 ? value : null;
    }

    private readonly record struct Source(string Name, Fault Fault)
    {
        public override string ToString() => Name;
    }
}
