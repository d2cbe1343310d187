using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace CiSteps.Pipeline.Yaml;

/// <summary>
/// Reads one YAML document into parts that know their places. Anchors and aliases are followed; what YAML allows and a pipeline
/// file has no use for is a problem with its place.
/// </summary>
internal sealed class YamlReading
{
    private const int Deepest = 32;

    private readonly Parser parser;
    private readonly Problems problems;
    private readonly Dictionary<string, YamlPart?> anchors = new(StringComparer.Ordinal);

    private YamlReading(TextReader text, Problems problems) => (parser, this.problems) = (new Parser(text), problems);

    /// <summary>The document's root; null, with a problem noted, when there is none.</summary>
    public static YamlPart? Read(string text, Problems problems)
    {
        using var lines = new StringReader(text);
        var reading = new YamlReading(lines, problems);
        try
        {
            return reading.Document();
        }
        catch (YamlException error)
        {
            problems.Add(At(error.Start), $"not readable as YAML: {error.Message.TrimEnd('.')}");
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException)
        {
            // The library's scanner trips over some texts that are not YAML, such as a lost quote, without a place.
            problems.Add(At(reading.parser.Current?.End ?? Mark.Empty),
                "not readable as YAML from here on; look for a quote or bracket that is not closed");
        }
        return null;
    }

    private YamlPart? Document()
    {
        parser.Consume<StreamStart>();
        if (!parser.TryConsume<DocumentStart>(out _))
        {
            problems.Add(new Position(1, 1), "the file is empty; it needs at least \"components:\"");
            return null;
        }
        var root = Part(0);
        parser.Consume<DocumentEnd>();
        if (parser.TryConsume<DocumentStart>(out var second))
            problems.Add(At(second.Start), "a second document begins here; the file is one document");
        return root;
    }

    private YamlPart Part(int depth)
    {
        if (depth > Deepest)
            throw new YamlException(parser.Current!.Start, parser.Current.End, $"nested deeper than {Deepest} levels");
        switch (parser.Current)
        {
            case AnchorAlias alias:
                parser.MoveNext();
                return Followed(alias);
            case Scalar scalar:
                parser.MoveNext();
                RefuseTag(scalar.Tag, scalar.Start);
                return Anchored(scalar.Anchor, new YamlText(At(scalar.Start), scalar.Value, scalar.Style == ScalarStyle.Plain));
            case SequenceStart start:
                {
                    parser.MoveNext();
                    RefuseTag(start.Tag, start.Start);
                    Announce(start.Anchor);
                    var items = new List<YamlPart>();
                    while (!parser.TryConsume<SequenceEnd>(out _)) items.Add(Part(depth + 1));
                    return Anchored(start.Anchor, new YamlList(At(start.Start), items));
                }
            case MappingStart start:
                {
                    parser.MoveNext();
                    RefuseTag(start.Tag, start.Start);
                    Announce(start.Anchor);
                    return Anchored(start.Anchor, new YamlMap(At(start.Start), Entries(depth)));
                }
            default:
                throw new YamlException(parser.Current!.Start, parser.Current.End, "something unexpected");
        }
    }

    private List<(YamlText Key, YamlPart Value)> Entries(int depth)
    {
        var entries = new List<(YamlText Key, YamlPart Value)>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            var key = Part(depth + 1);
            var value = Part(depth + 1);
            if (key is not YamlText name) problems.Add(key.Position, $"a key must be a word, not {key.Kind}");
            else if (name is { IsPlain: true, Value: "<<" })
                problems.Add(key.Position, "merge keys (<<) are not read; write the keys out, or use an alias for a whole value");
            else if (entries.Find(entry => entry.Key.Value == name.Value) is { Key: not null } first)
                problems.Add(key.Position,
                    $"key \"{name.Value}\" stands here again; it was given in line {first.Key.Position.Line} already");
            else entries.Add((name, value));
        }
        return entries;
    }

    private YamlPart Followed(AnchorAlias alias)
    {
        if (!anchors.TryGetValue(alias.Value.Value, out var part))
            throw new YamlException(alias.Start, alias.End,
                $"alias \"*{alias.Value.Value}\" has no anchor \"&{alias.Value.Value}\" before it");
        return part
            ?? throw new YamlException(alias.Start, alias.End, $"alias \"*{alias.Value.Value}\" stands inside what it refers to");
    }

    private void Announce(AnchorName anchor)
    {
        if (!anchor.IsEmpty) anchors[anchor.Value] = null;
    }

    private T Anchored<T>(AnchorName anchor, T part) where T : YamlPart
    {
        if (!anchor.IsEmpty) anchors[anchor.Value] = part;
        return part;
    }

    private void RefuseTag(TagName tag, Mark mark)
    {
        // "!" is what the parser gives to quoted text.
        if (!tag.IsEmpty
            && tag.Value is not ("!" or "tag:yaml.org,2002:str" or "tag:yaml.org,2002:map" or "tag:yaml.org,2002:seq"))
            problems.Add(At(mark), $"tag \"{tag.Value}\" is not read; write the plain value");
    }

    private static Position At(Mark mark) => new(Math.Max(1, (int)mark.Line), Math.Max(1, (int)mark.Column));
}
