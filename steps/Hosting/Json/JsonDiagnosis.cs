using System.Text;
using System.Text.Json;

namespace CiSteps.Hosting.Json;

/// <summary>Says what is wrong with a document that the parser refuses, and where: read a second time, step by step.</summary>
internal static class JsonDiagnosis
{
    /// <summary>The first fault of a document that has one.</summary>
    public static OutsideJsonException Of(ReadOnlySpan<byte> utf8, string document, JsonLimits limits, Exception? parser) =>
        Find(utf8, document, limits, parser)
            ?? new OutsideJsonException(document, "", JsonFault.Malformed, parser?.Message ?? "it is not UTF-8", parser);

    /// <summary>The first fault of a document; null when it has none.</summary>
    public static OutsideJsonException? Find(ReadOnlySpan<byte> utf8, string document, JsonLimits limits, Exception? parser)
    {
        // Not the final block: what ends in the middle is told from what is wrong.
        var reader = new Utf8JsonReader(utf8, isFinalBlock: false, new JsonReaderState(new() { MaxDepth = limits.Depth }));
        var trail = new Stack<Level>();
        var ended = false;
        try
        {
            while (reader.Read())
            {
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        trail.Push(new Level(reader.TokenType == JsonTokenType.StartObject, limits));
                        continue;
                    case JsonTokenType.PropertyName:
                        trail.Peek().Name = reader.GetString()!;
                        if (trail.Peek().Names?.Add(trail.Peek().Name) == false)
                            return Fault(JsonFault.Duplicate, trail, "stands there twice");
                        continue;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        trail.Pop();
                        break;
                    case JsonTokenType.String:
                        _ = reader.GetString();
                        break;
                }
                ended = trail.Count == 0;
                if (trail.TryPeek(out var level)) level.Index++;
            }
        }
        catch (JsonException error)
        {
            if (trail.Count >= limits.Depth)
                return Fault(JsonFault.TooDeep, trail, $"is nested deeper than {limits.Depth} levels");
            var at = $"line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}";
            return ended ? Fault(JsonFault.Malformed, trail, $"goes on after its end ({at})")
                : Fault(JsonFault.Malformed, trail, $"is not well-formed JSON ({at})", error);
        }
        catch (InvalidOperationException error)
        {
            return Fault(JsonFault.BrokenText, trail, "has a text with a character that no text can have", error);
        }
        // A number at the top ends with the data; it is whole when the parser took it.
        var rest = utf8[(int)reader.BytesConsumed..].Trim(" \t\r\n"u8);
        if (parser is null && (ended || trail.Count == 0)) return null;
        return ended && rest.IsEmpty ? null : Fault(JsonFault.Truncated, trail, "ends in the middle");

        OutsideJsonException Fault(JsonFault fault, Stack<Level> trail, string what, Exception? inner = null)
        {
            var path = PathOf(trail);
            return new(document, path, fault, $"{(path.Length == 0 ? "it" : path)} {what}", inner ?? parser);
        }
    }

    private static string PathOf(Stack<Level> trail)
    {
        var path = new StringBuilder();
        foreach (var level in trail.Reverse())
            if (!level.IsObject) path.Append('[').Append(level.Index).Append(']');
            else if (level.Name.Length > 0) path.Append(path.Length == 0 ? "" : ".").Append(level.Name);
        return path.ToString();
    }

    private sealed class Level(bool isObject, JsonLimits limits)
    {
        public bool IsObject => isObject;

        /// <summary>The names so far; null where one may stand twice.</summary>
        public HashSet<string>? Names { get; } = isObject && !limits.AllowsDuplicates
            ? new(limits.IgnoresCase ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal) : null;

        public string Name { get; set; } = "";

        public int Index { get; set; }
    }
}
