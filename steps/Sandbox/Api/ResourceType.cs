using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api;

/// <summary>One kind of object as the API serves it: where it lives in URLs and what it can do.</summary>
/// <param name="Group">API group; empty for the core group.</param>
/// <param name="Version">API version within the group, such as <c>v1</c>.</param>
/// <param name="Plural">The name in URLs, such as <c>deployments</c>.</param>
/// <param name="Singular">The name people may type, such as <c>deployment</c>.</param>
/// <param name="Kind">The name in objects, such as <c>Deployment</c>.</param>
/// <param name="Namespaced">Whether objects live in a namespace.</param>
/// <param name="ShortNames">Abbreviations that kubectl accepts.</param>
internal sealed record ResourceType(
    string Group, string Version, string Plural, string Singular, string Kind, bool Namespaced, IReadOnlyList<string> ShortNames)
{
    /// <summary>Groups of kinds that kubectl expands, such as <c>all</c>.</summary>
    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>Whether <c>status</c> is a subresource, so that ordinary updates cannot change it.</summary>
    public bool HasStatus { get; init; }

    /// <summary>Whether <c>scale</c> is a subresource.</summary>
    public bool HasScale { get; init; }

    /// <summary>Whether <c>metadata.generation</c> counts changes of the specification.</summary>
    public bool HasGeneration { get; init; }

    /// <summary>Whether the kind comes from a CustomResourceDefinition.</summary>
    public bool IsCustom { get; init; }

    /// <summary>What the CustomResourceDefinition says about this version.</summary>
    internal Store.CustomVersion? Custom { get; init; }

    /// <summary>The type of the kind's objects.</summary>
    internal TypeSchema Schema => Custom?.Schema ?? BuiltInSchemas.Find(Group, Kind) ?? TypeSchema.Any;

    /// <summary>The columns of the kind's tables.</summary>
    internal Printing.TableLayout Layout => Custom?.Layout ?? Printing.TableLayout.For(this);

    /// <summary>Fields of a custom kind that field selectors may name.</summary>
    internal IReadOnlyList<string> SelectableFields { get; init; } = [];

    /// <summary>Value of <c>apiVersion</c> in objects.</summary>
    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>Plural and group, as messages and CustomResourceDefinitions name the kind.</summary>
    public string QualifiedName => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary>Identifies the stored collection, independent of the version it is read in.</summary>
    public string StorageKey { get; init; } = Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary>Name of the kind of lists.</summary>
    public string ListKind { get; init; } = Kind + "List";

    /// <inheritdoc />
    public override string ToString() => QualifiedName;

    /// <inheritdoc />
    public bool Equals(ResourceType? other) =>
        other is not null && Group == other.Group && Version == other.Version && Plural == other.Plural;

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Group, Version, Plural);
}
