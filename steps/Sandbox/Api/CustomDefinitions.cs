using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Printing;
using CiSteps.Sandbox.Api.Schema;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Serves the kinds of CustomResourceDefinitions: registers them, says that they are established, and takes their objects away with them.</summary>
internal sealed class CustomDefinitions : IClusterComponent
{
    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var work = Channel.CreateUnbounded<StoredObject?>(new() { SingleReader = true });
        void OnCommit(string storageKey, StoreEvent change)
        {
            if (storageKey == Kinds.CustomResourceDefinitions.StorageKey)
                work.Writer.TryWrite(change.Type == WatchEventType.Deleted ? change.Object : null);
        }
        lock (api.Store.Gate)
        {
            api.Store.Committed += OnCommit;
            work.Writer.TryWrite(null);
        }
        try
        {
            await foreach (var gone in work.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
                Settle(api, gone);
        }
        finally
        {
            lock (api.Store.Gate)
                api.Store.Committed -= OnCommit;
        }
    }

    private static void Settle(ClusterApi api, StoredObject? gone)
    {
        lock (api.Store.Gate)
        {
            if (gone is not null)
            {
                foreach (var instance in api.Store.List(gone.Name, null).ToList())
                    api.Store.Remove(gone.Name, instance.Copy());
            }
            var definitions = api.Store.List(Kinds.CustomResourceDefinitions.StorageKey, null).Select(d => d.Copy()).ToList();
            api.Types.SetCustom(definitions.SelectMany(TypesOf));
            foreach (var definition in definitions)
                Establish(api, definition);
        }
    }

    private static IEnumerable<ResourceType> TypesOf(JsonObject definition)
    {
        var names = definition.Obj("spec", "names");
        var plural = names.Str("plural") ?? "";
        foreach (var version in definition.Objs("spec", "versions").Where(v => v.Flag("served")))
        {
            var schema = version.Obj("schema", "openAPIV3Schema");
            yield return new ResourceType(definition.Str("spec", "group") ?? "", version.Str("name") ?? "", plural, names.Str("singular") ?? "",
                names.Str("kind") ?? "", definition.Str("spec", "scope") == "Namespaced", [.. names.Strs("shortNames")])
            {
                ListKind = names.Str("listKind") ?? names.Str("kind") + "List",
                Categories = [.. names.Strs("categories")],
                HasStatus = version.Obj("subresources", "status") is not null,
                HasGeneration = true,
                IsCustom = true,
                Custom = new CustomVersion(schema, CustomSchemas.ForObject(schema), LayoutOf(version), version.Obj("subresources", "scale")),
            };
        }
    }

    private static TableLayout LayoutOf(JsonObject version)
    {
        var columns = version.Objs("additionalPrinterColumns").Select(column => new Column(column.Str("name") ?? "", column.Str("type") ?? "string",
            (int)(column.Num("priority") ?? 0), Cell(column)) { Description = column.Str("description") ?? "" }).ToArray();
        return columns.Length == 0 ? TableLayout.Plain : TableLayout.Of(columns);
    }

    private static Func<JsonObject, DateTimeOffset, JsonNode?> Cell(JsonObject column)
    {
        var path = (column.Str("jsonPath") ?? "").TrimStart('.').Split('.');
        return column.Str("type") == "date"
            ? (item, now) => item.Time(path) is { } time ? Age.Since(time, now) : ""
            : (item, _) => item.At(path) switch
            {
                null => null,
                JsonValue value when value.Str() is { } text => text,
                JsonValue value when value.Num() is { } number => number,
                var other => other.ToJsonString(),
            };
    }

    private static void Establish(ClusterApi api, JsonObject definition)
    {
        if (definition.Objs("status", "conditions").Any(c => c.Str("type") == "Established" && c.Str("status") == "True"))
            return;
        var now = JsonAccess.Stamp(api.Time.GetUtcNow());
        var status = definition.Ensure("status");
        status["acceptedNames"] = definition.Obj("spec", "names")?.DeepClone();
        status["storedVersions"] = new JsonArray([.. definition.Objs("spec", "versions").Where(v => v.Flag("storage")).Select(v => (JsonNode?)v.Str("name"))]);
        status["conditions"] = new JsonArray(
            Condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
            Condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now));
        definition["metadata"]!["resourceVersion"] = definition.Str("metadata", "resourceVersion") ?? "0".ToString(CultureInfo.InvariantCulture);
        api.Store.Put(Kinds.CustomResourceDefinitions.StorageKey, definition);
    }

    private static JsonNode Condition(string type, string reason, string message, string now) => new JsonObject
    {
        ["type"] = type, ["status"] = "True", ["reason"] = reason, ["message"] = message, ["lastTransitionTime"] = now,
    };
}
