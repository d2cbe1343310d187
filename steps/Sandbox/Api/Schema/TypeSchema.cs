namespace CiSteps.Sandbox.Api.Schema;

internal enum SchemaKind { Any, Text, Integer, Number, Boolean, IntOrString, Quantity, Object, Map, List }

/// <summary>The type of a value: what it may hold and how two writers' values merge.</summary>
internal sealed class TypeSchema(SchemaKind kind)
{
    public static TypeSchema Any { get; } = new(SchemaKind.Any);

    public SchemaKind Kind { get; } = kind;

    /// <summary>OpenAPI's format, such as <c>int32</c> or <c>date-time</c>.</summary>
    public string? Format { get; init; }

    /// <summary>Name of a built-in object type, such as <c>core.PodSpec</c>.</summary>
    public string? Name { get; init; }

    /// <summary>Fields of an object.</summary>
    public Dictionary<string, FieldSchema> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>Type of the values of a map or the items of a list.</summary>
    public TypeSchema? Element { get; set; }

    /// <summary>Keys that identify an item of a list under server-side apply; empty for other lists.</summary>
    public IReadOnlyList<string> MapKeys { get; init; } = [];

    /// <summary>A list whose items are a set.</summary>
    public bool IsSet { get; init; }

    /// <summary>Merge key of strategic patches; null where the list is replaced.</summary>
    public string? PatchKey { get; init; }

    /// <summary>A list of plain values that strategic patches add to.</summary>
    public bool Union { get; init; }

    /// <summary>One manager owns the whole.</summary>
    public bool Atomic { get; set; }

    /// <summary>Unknown fields stay.</summary>
    public bool Open { get; init; }

    /// <summary>An object with an apiVersion and kind of its own inside.</summary>
    public bool Embedded { get; init; }

    public TypeSchema? FieldType(string name) =>
        Kind switch
        {
            SchemaKind.Object => Fields.TryGetValue(name, out var field) ? field.Type : Element,
            SchemaKind.Map => Element,
            _ => null,
        };
}

/// <summary>A field of an object type.</summary>
/// <param name="Name">Name in JSON.</param>
/// <param name="Type">What it holds.</param>
/// <param name="Required">Whether it must be there.</param>
/// <param name="RetainKeys">Whether strategic patches name the keys to keep.</param>
/// <param name="Number">Number in the binary encoding, with those of the messages around it; empty where unknown.</param>
internal sealed record FieldSchema(string Name, TypeSchema Type, bool Required, bool RetainKeys, string Number = "");
