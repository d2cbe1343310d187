using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>CustomResourceDefinitions: defaults, checks, and the status that says that they are served.</summary>
internal static class DefinitionRules
{
    public const string CleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

    public static void Default(JsonObject definition)
    {
        var spec = definition.Ensure("spec");
        var names = spec.Ensure("names");
        if (names.Str("kind") is { Length: > 0 } kind)
        {
            if (names.Str("singular") is not { Length: > 0 })
                names["singular"] = kind.ToLowerInvariant();
            if (names.Str("listKind") is not { Length: > 0 })
                names["listKind"] = kind + "List";
        }
        spec.Ensure("conversion").Default("strategy", "None");
    }

    public static void Check(JsonObject? old, JsonObject definition, FieldErrors errors)
    {
        var spec = definition.Obj("spec") ?? [];
        var group = spec.Str("group") ?? "";
        var plural = spec.Str("names", "plural") ?? "";
        if (group.Length == 0)
            errors.Required("spec.group");
        if (plural.Length == 0)
            errors.Required("spec.names.plural");
        if (spec.Str("names", "kind") is not { Length: > 0 })
            errors.Required("spec.names.kind");
        if (group.Length > 0 && plural.Length > 0 && definition.Str("metadata", "name") != $"{plural}.{group}")
            errors.Invalid("metadata.name", definition.Str("metadata", "name"), $"must be spec.names.plural+\".\"+spec.group");
        if (spec.Str("scope") is not { Length: > 0 })
            errors.Required("spec.scope");
        else if (spec.Str("scope") is not ("Cluster" or "Namespaced"))
            errors.Unsupported("spec.scope", spec["scope"]?.DeepClone(), "Cluster", "Namespaced");
        if (spec.Str("conversion", "strategy") is not "None")
            errors.Unsupported("spec.conversion.strategy", spec.At("conversion", "strategy")?.DeepClone(), "None");
        Versions(spec, errors);
        if (old is null)
            return;
        errors.Immutable("spec.group", old.At("spec", "group"), spec["group"]?.DeepClone());
        errors.Immutable("spec.scope", old.At("spec", "scope"), spec["scope"]?.DeepClone());
        errors.Immutable("spec.names.plural", old.At("spec", "names", "plural"), plural);
        errors.Immutable("spec.names.kind", old.At("spec", "names", "kind"), spec.At("names", "kind")?.DeepClone());
        foreach (var stored in old.Strs("status", "storedVersions"))
        {
            if (!spec.Objs("versions").Any(v => v.Str("name") == stored))
                errors.Invalid("status.storedVersions[0]", stored,
                    "missing from spec.versions; must be removed from status.storedVersions before removing from spec.versions");
        }
    }

    /// <summary>Accepts the names and says so; the kind is served from the moment of the commit.</summary>
    public static void Establish(JsonObject definition, JsonObject? old, DateTimeOffset now)
    {
        var status = definition.Ensure("status");
        status["acceptedNames"] = definition.At("spec", "names")?.DeepClone();
        var stored = status.Strs("storedVersions").ToList();
        if (definition.Objs("spec", "versions").FirstOrDefault(v => v.Flag("storage"))?.Str("name") is { } version
            && !stored.Contains(version))
            stored.Add(version);
        status["storedVersions"] = new JsonArray([.. stored.Select(v => (JsonNode?)v)]);
        if (old is not null)
            return;
        JsonObject Condition(string type, string reason, string message) => new()
        {
            ["type"] = type,
            ["status"] = "True",
            ["lastTransitionTime"] = JsonAccess.Stamp(now),
            ["reason"] = reason,
            ["message"] = message,
        };
        status["conditions"] = new JsonArray(
            Condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            Condition("Established", "InitialNamesAccepted", "the initial names have been accepted"));
        var metadata = definition.Ensure("metadata");
        if (!metadata.Strs("finalizers").Contains(CleanupFinalizer))
        {
            if (metadata["finalizers"] is not JsonArray finalizers)
                metadata["finalizers"] = finalizers = [];
            finalizers.Add((JsonNode)CleanupFinalizer);
        }
    }

    /// <summary>The kinds that a stored definition makes, one per served version.</summary>
    public static IEnumerable<ResourceType> TypesOf(JsonObject definition)
    {
        var spec = definition.Obj("spec") ?? [];
        foreach (var version in spec.Objs("versions").Where(v => v.Flag("served")))
        {
            var names = spec.Obj("names");
            var openApi = version.Obj("schema", "openAPIV3Schema")?.DeepClone() as JsonObject;
            yield return new ResourceType(
                spec.Str("group")!, version.Str("name")!, names.Str("plural")!, names.Str("singular") ?? "", names.Str("kind")!,
                spec.Str("scope") == "Namespaced", [.. names.Strs("shortNames")])
            {
                ListKind = names.Str("listKind")!,
                Categories = [.. names.Strs("categories")],
                IsCustom = true,
                HasGeneration = true,
                HasStatus = version.Obj("subresources", "status") is not null,
                HasScale = version.Obj("subresources", "scale") is not null,
                SelectableFields = [.. version.Objs("selectableFields").Select(f => f.Str("jsonPath") ?? "")],
                Custom = new CustomVersion(
                    openApi,
                    Schema.CustomSchemas.ForObject(openApi),
                    Printing.CustomLayout.Of(version),
                    version.Obj("subresources", "scale")?.DeepClone() as JsonObject),
            };
        }
    }

    private static void Versions(JsonObject spec, FieldErrors errors)
    {
        var versions = spec.Objs("versions").ToList();
        if (versions.Count == 0)
            errors.Required("spec.versions", "must have exactly one version marked as storage version");
        else if (versions.Count(v => v.Flag("storage")) != 1)
            errors.Invalid("spec.versions", spec["versions"]?.DeepClone(),
                "must have exactly one version marked as storage version");
        for (var i = 0; i < versions.Count; i++)
        {
            var path = $"spec.versions[{i}]";
            if (versions[i].Str("name") is not { Length: > 0 })
                errors.Required($"{path}.name");
            if (versions[i].Obj("schema", "openAPIV3Schema") is not { } schema)
            {
                errors.Required($"{path}.schema.openAPIV3Schema", "schemas are required");
                continue;
            }
            var field = $"{path}.schema.openAPIV3Schema";
            if (schema.Str("type") != "object")
                errors.Invalid($"{field}.type", schema["type"]?.DeepClone() ?? "", "must be object at the root");
            Structural(schema, field, errors);
        }
    }

    /// <summary>Each part of a schema says its type, as defaulting and pruning need.</summary>
    private static void Structural(JsonObject schema, string path, FieldErrors errors)
    {
        var open = schema.Flag("x-kubernetes-int-or-string") || schema.Flag("x-kubernetes-preserve-unknown-fields");
        if (schema.Str("type") is null && !open)
            errors.Required($"{path}.type", "must not be empty for specified object fields");
        else if (schema.Str("type") is { } type and not ("object" or "array" or "string" or "integer" or "number" or "boolean"))
            errors.Unsupported($"{path}.type", type, "array", "boolean", "integer", "number", "object", "string");
        if (schema.Str("type") == "array" && schema.Obj("items") is null)
            errors.Required($"{path}.items", "must be specified");
        if (schema.Obj("properties") is not null && schema.Obj("additionalProperties") is not null)
            errors.Forbidden($"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive");
        foreach (var (name, property) in schema.Obj("properties") ?? [])
        {
            if (property is JsonObject p && !(name == "metadata" && path.EndsWith("openAPIV3Schema", StringComparison.Ordinal)))
                Structural(p, $"{path}.properties[{name}]", errors);
        }
        if (schema.Obj("items") is { } items)
            Structural(items, $"{path}.items", errors);
        if (schema.Obj("additionalProperties") is { } values)
            Structural(values, $"{path}.additionalProperties", errors);
    }
}
