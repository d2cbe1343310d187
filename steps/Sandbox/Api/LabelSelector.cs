using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api;

/// <summary>Which labels an object must have.</summary>
internal sealed class LabelSelector
{
    private readonly IReadOnlyList<Requirement> requirements;

    private LabelSelector(IReadOnlyList<Requirement> requirements) => this.requirements = requirements;

    /// <summary>Matches every object.</summary>
    public static LabelSelector Everything { get; } = new([]);

    /// <summary>Whether every object matches.</summary>
    public bool IsEmpty => requirements.Count == 0;

    /// <summary>Labels that must have exactly these values.</summary>
    public static LabelSelector Of(IEnumerable<KeyValuePair<string, string>> labels) =>
        new([.. labels.Select(l => new Requirement(l.Key, Operator.In, [l.Value]))]);

    /// <summary>A <c>matchLabels</c>/<c>matchExpressions</c> object; null or empty matches everything.</summary>
    public static LabelSelector FromObject(JsonObject? selector)
    {
        var list = new List<Requirement>();
        if (selector?["matchLabels"] is JsonObject labels)
            list.AddRange(labels.Select(l => new Requirement(l.Key, Operator.In, [(string?)l.Value ?? ""])));
        if (selector?["matchExpressions"] is JsonArray expressions)
            foreach (var expression in expressions.OfType<JsonObject>())
            {
                var values = expression["values"] is JsonArray a ? a.Select(v => (string?)v ?? "").ToArray() : [];
                list.Add(new Requirement((string?)expression["key"] ?? "", (string?)expression["operator"] switch
                {
                    "In" => Operator.In,
                    "NotIn" => Operator.NotIn,
                    "Exists" => Operator.Exists,
                    "DoesNotExist" => Operator.Absent,
                    var other => throw ApiException.BadRequest($"\"{other}\" is not a valid label selector operator"),
                }, values));
            }
        return new LabelSelector(list);
    }

    /// <summary>The text form of a query: <c>a=b,c!=d,e in (f,g),h,!i</c>. Throws a 400 for bad text.</summary>
    public static LabelSelector Parse(string? text)
    {
        var list = new List<Requirement>();
        foreach (var part in Split(text ?? ""))
            list.Add(ParseOne(part));
        return list.Count == 0 ? Everything : new LabelSelector(list);
    }

    /// <summary>Whether an object with these labels is selected.</summary>
    public bool Matches(IReadOnlyDictionary<string, string> labels) => requirements.All(r => r.Matches(labels));

    /// <summary>Whether this object is selected by its <c>metadata.labels</c>.</summary>
    public bool Matches(JsonObject obj) => IsEmpty || Matches(LabelsOf(obj));

    internal static IReadOnlyDictionary<string, string> LabelsOf(JsonObject obj) =>
        obj["metadata"]?["labels"] is JsonObject labels
            ? labels.ToDictionary(l => l.Key, l => (string?)l.Value ?? "")
            : System.Collections.ObjectModel.ReadOnlyDictionary<string, string>.Empty;

    private static IEnumerable<string> Split(string text)
    {
        int depth = 0, start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || (text[i] == ',' && depth == 0))
            {
                var part = text[start..i].Trim();
                if (part.Length > 0)
                    yield return part;
                start = i + 1;
            }
            else if (text[i] == '(')
                depth++;
            else if (text[i] == ')')
                depth--;
        }
    }

    private static Requirement ParseOne(string part)
    {
        if (part[0] == '!')
            return new Requirement(Key(part[1..]), Operator.Absent, []);
        var open = part.IndexOf('(', StringComparison.Ordinal);
        if (open > 0 && part.EndsWith(')'))
        {
            var words = part[..open].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var values = part[(open + 1)..^1].Split(',').Select(v => v.Trim()).ToArray();
            if (words is [var key, "in"])
                return new Requirement(Key(key), Operator.In, values);
            if (words is [var other, "notin"])
                return new Requirement(Key(other), Operator.NotIn, values);
            throw Bad(part);
        }
        if (part.IndexOf("!=", StringComparison.Ordinal) is > 0 and var ne)
            return new Requirement(Key(part[..ne]), Operator.NotIn, [Value(part[(ne + 2)..])]);
        if (part.IndexOf('=', StringComparison.Ordinal) is > 0 and var eq)
            return new Requirement(
                Key(part[..eq]),
                Operator.In,
                [Value(part[(eq + (part[eq..].StartsWith("==", StringComparison.Ordinal) ? 2 : 1))..])]);
        return new Requirement(Key(part), Operator.Exists, []);
    }

    private static string Key(string text)
    {
        var key = text.Trim();
        return key.Length > 0 && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/')
            ? key
            : throw Bad(text);
    }

    private static string Value(string text)
    {
        var value = text.Trim();
        return value.FirstOrDefault(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')) is var odd
            && odd == default
            ? value
            : throw ApiException.BadRequest($"unable to parse requirement: found '{odd}', expected: identifier");
    }

    private static ApiException Bad(string part) =>
        ApiException.BadRequest(
            $"unable to parse requirement: found '{part}', expected: a label key with '=', '!=', 'in', 'notin' or alone");

    private enum Operator { In, NotIn, Exists, Absent }

    private sealed record Requirement(string Key, Operator Operator, string[] Values)
    {
        public bool Matches(IReadOnlyDictionary<string, string> labels)
        {
            var has = labels.TryGetValue(Key, out var value);
            return Operator switch
            {
                Operator.In => has && Values.Contains(value),
                Operator.NotIn => !has || !Values.Contains(value),
                Operator.Exists => has,
                _ => !has,
            };
        }
    }
}
