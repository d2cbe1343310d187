namespace CiSteps.Pipeline.Yaml;

/// <summary>A place in a YAML text, from 1.</summary>
internal readonly record struct Position(int Line, int Column);

/// <summary>A piece of a YAML text with its place.</summary>
internal abstract record YamlPart(Position Position)
{
    /// <summary>What it is, for messages.</summary>
    public abstract string Kind { get; }
}

/// <summary>A single value. Plain ones are written without quotes.</summary>
internal sealed record YamlText(Position Position, string Value, bool IsPlain) : YamlPart(Position)
{
    public override string Kind => IsNothing ? "nothing" : $"\"{(Value.Length > 40 ? Value[..39] + "…" : Value)}\"";

    public bool IsNothing => IsPlain && Value is "" or "~" or "null" or "Null" or "NULL";
}

/// <summary>A list.</summary>
internal sealed record YamlList(Position Position, IReadOnlyList<YamlPart> Items) : YamlPart(Position)
{
    public override string Kind => "a list";
}

/// <summary>A mapping; each key once.</summary>
internal sealed record YamlMap(Position Position, IReadOnlyList<(YamlText Key, YamlPart Value)> Entries) : YamlPart(Position)
{
    public override string Kind => "a mapping";
}
