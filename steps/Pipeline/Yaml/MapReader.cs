using CiSteps.Hosting.Options;

namespace CiSteps.Pipeline.Yaml;

/// <summary>
/// Takes the values of one mapping by key and type; what is wrong becomes a problem and the value a harmless one, so that reading
/// goes on.
/// </summary>
internal sealed class MapReader
{
    private readonly YamlMap map;
    private readonly Section section;
    private readonly Problems problems;

    private MapReader(YamlMap map, Section section, string what, Problems problems)
    {
        (this.map, this.section, What, this.problems) = (map, section, what, problems);
        foreach (var (key, _) in map.Entries)
            if (!section.Keys.Contains(key.Value))
                problems.Add(key.Position,
                    $"unknown key \"{key.Value}\" in {what}{Nearest(key.Value)}; known keys: {string.Join(", ", section.Keys)}");
    }

    /// <summary>Which mapping it is, for messages.</summary>
    public string What { get; }

    public Position Place => map.Position;

    /// <summary>A reader for a part that must be a mapping; null, with a problem, when it is not.</summary>
    public static MapReader? Of(YamlPart part, Section section, string what, Problems problems)
    {
        if (part is YamlMap map) return new MapReader(map, section, what, problems);
        problems.Add(part.Position, $"{what} must be a mapping with keys of {string.Join(", ", section.Keys)}, not {part.Kind}");
        return null;
    }

    public bool Has(string key) => Find(key) is not null;

    public Position PlaceOf(string key) => Find(key)?.Position ?? map.Position;

    public void Problem(string key, string text) => problems.Add(PlaceOf(key), text);

    /// <summary>Text; the fallback when absent, a problem when absent without fallback.</summary>
    public string Text(string key, string? fallback = null)
    {
        if (OptionalText(key) is { } text) return text;
        if (fallback is null && !Has(key)) Missing(key);
        return fallback ?? "";
    }

    public string? OptionalText(string key) => Find(key) is { } part ? AsText(part, key) : null;

    public int Number(string key, int fallback, int least, int most)
    {
        if (OptionalText(key) is not { } text) return fallback;
        if (int.TryParse(text, out var number) && number >= least && number <= most) return number;
        Problem(key, $"\"{key}\" of {What} must be a whole number from {least} to {most}, not \"{text}\"");
        return fallback;
    }

    public bool Switch(string key)
    {
        var text = OptionalText(key);
        if (text is not (null or "true" or "false")) Problem(key, $"\"{key}\" of {What} must be true or false, not \"{text}\"");
        return text == "true";
    }

    public TimeSpan Duration(string key, TimeSpan fallback)
    {
        if (OptionalText(key) is not { } text) return fallback;
        try
        {
            return Durations.Parse(text);
        }
        catch (FormatException error)
        {
            Problem(key, $"\"{key}\" of {What}: {error.Message}");
            return fallback;
        }
    }

    public string OneOf(string key, string? fallback, params IReadOnlyList<string> words)
    {
        var text = fallback is null ? Text(key) : OptionalText(key) ?? fallback;
        if (!words.Contains(text) && Has(key))
            Problem(key, $"\"{key}\" of {What} must be one of {string.Join(", ", words)}, not \"{text}\"");
        return text;
    }

    /// <summary>A list of texts; empty when absent.</summary>
    public IReadOnlyList<string> Texts(string key) => [.. TextParts(key).Select(part => part.Value)];

    /// <summary>A list of texts with their places; empty when absent.</summary>
    public IReadOnlyList<YamlText> TextParts(string key)
    {
        if (Find(key) is not { } part) return [];
        if (part is not YamlList list)
        {
            problems.Add(part.Position,
                $"\"{key}\" of {What} must be a list, not {part.Kind}; write [{(part is YamlText text ? text.Value : "…")}]");
            return [];
        }
        var texts = new List<YamlText>();
        foreach (var item in list.Items)
        {
            if (item is YamlText { IsNothing: false } text) texts.Add(text);
            else problems.Add(item.Position, $"each entry of \"{key}\" of {What} must be text, not {item.Kind}");
        }
        return texts;
    }

    /// <summary>The entries of a list of mappings; empty when absent.</summary>
    public IEnumerable<YamlPart> Items(string key)
    {
        if (Find(key) is not { } part) return [];
        if (part is YamlList list) return list.Items;
        problems.Add(part.Position, $"\"{key}\" of {What} must be a list, not {part.Kind}");
        return [];
    }

    /// <summary>A mapping from names to texts; empty when absent.</summary>
    public IReadOnlyList<(YamlText Key, YamlText Value)> Pairs(string key)
    {
        var pairs = new List<(YamlText, YamlText)>();
        foreach (var (name, value) in Entries(key))
        {
            if (value is YamlText text) pairs.Add((name, text.IsNothing ? text with { Value = "" } : text));
            else problems.Add(value.Position, $"\"{name.Value}\" in \"{key}\" of {What} must be text, not {value.Kind}");
        }
        return pairs;
    }

    /// <summary>The entries of a mapping with free keys; empty when absent.</summary>
    public IReadOnlyList<(YamlText Key, YamlPart Value)> Entries(string key)
    {
        if (Find(key) is not { } part) return [];
        if (part is YamlMap inner) return inner.Entries;
        problems.Add(part.Position, $"\"{key}\" of {What} must be a mapping, not {part.Kind}");
        return [];
    }

    /// <summary>A reader for an inner mapping; null when absent or, with a problem, when it is something else.</summary>
    public MapReader? Map(string key, Section inner, string? what = null) =>
        Find(key) is { } part ? Of(part, inner, what ?? $"\"{key}\" of {What}", problems) : null;

    public YamlPart? Find(string key)
    {
        if (!section.Keys.Contains(key)) throw new InvalidOperationException($"\"{key}\" is not a key of {section.Name}");
        foreach (var (name, value) in map.Entries)
        {
            if (name.Value != key) continue;
            if (value is not YamlText { IsNothing: true }) return value;
            problems.Add(name.Position, $"\"{key}\" of {What} has no value; give one or remove the key");
            return null;
        }
        return null;
    }

    public void Missing(string key)
    {
        if (!map.Entries.Any(entry => entry.Key.Value == key)) problems.Add(map.Position, $"{What} needs \"{key}\"");
    }

    private string? AsText(YamlPart part, string key)
    {
        if (part is YamlText text) return text.Value;
        problems.Add(part.Position, $"\"{key}\" of {What} must be text, not {part.Kind}");
        return null;
    }

    private string Nearest(string wrong)
    {
        var (best, distance) = section.Keys.Select(key => (key, Distance(key, wrong))).MinBy(pair => pair.Item2);
        return distance <= Math.Max(1, wrong.Length / 3) ? $", did you mean \"{best}\"" : "";
    }

    private static int Distance(string one, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= one.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
            {
                var substituted = diagonal + (one[i - 1] == other[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[^1];
    }
}
