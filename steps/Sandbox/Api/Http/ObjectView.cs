using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Printing;
using CiSteps.Sandbox.Api.Store;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>The form in which a client wants to see objects: whole, as metadata only, or as rows of a table.</summary>
internal sealed class ObjectView
{
    private readonly ResourceType type;
    private readonly Form form;
    private readonly TableLayout? layout;
    private readonly string includeObject;
    private readonly TimeProvider time;

    private ObjectView(ResourceType type, Form form, TableLayout? layout, string includeObject, TimeProvider time)
    {
        this.type = type;
        this.form = form;
        this.layout = layout;
        this.includeObject = includeObject;
        this.time = time;
    }

    private enum Form { Whole, Metadata, Table }

    /// <summary>Chooses by the Accept header; 406 when nothing fits.</summary>
    public static ObjectView For(HttpContext context, ResourceType type, Func<TableLayout> layout, TimeProvider time)
    {
        var accept = context.Request.Headers.Accept.ToString();
        if (accept.Length == 0)
            return new ObjectView(type, Form.Whole, null, "", time);
        foreach (var choice in accept.Split(','))
        {
            var parts = choice.Split(';').Select(p => p.Trim()).ToList();
            if (parts[0] is not ("application/json" or "*/*" or "application/*" or "application/yaml"))
                continue;
            var parameters = parts.Skip(1).ToList();
            if (parameters.Contains("as=Table"))
            {
                var include = context.Request.Query["includeObject"].ToString();
                return new ObjectView(type, Form.Table, layout(), include.Length == 0 ? "Metadata" : include, time);
            }
            if (parameters.Any(p => p.StartsWith("as=PartialObjectMetadata", StringComparison.Ordinal)))
                return new ObjectView(type, Form.Metadata, null, "", time);
            if (!parameters.Any(p => p.StartsWith("as=", StringComparison.Ordinal)))
                return new ObjectView(type, Form.Whole, null, "", time);
        }
        throw new ApiException(406, "NotAcceptable",
            "only the following media types are accepted: application/json, application/json;as=Table, " +
            "application/json;as=PartialObjectMetadata");
    }

    /// <summary>One object (also inside a watch event).</summary>
    public byte[] Single(StoredObject stored)
    {
        switch (form)
        {
            case Form.Whole:
                return Versions.ReadUtf8(type, stored);
            case Form.Metadata:
                return Metadata(stored, "PartialObjectMetadata").ToUtf8();
            default:
                var table = Table([stored], stored.Revision, null, null);
                return table.ToUtf8();
        }
    }

    /// <summary>A list.</summary>
    public byte[] List(IReadOnlyList<StoredObject> items, long revision, string? next, int? remaining)
    {
        if (form == Form.Table)
            return Table(items, revision, next, remaining).ToUtf8();
        var buffer = new ArrayBufferWriter<byte>(256 + items.Sum(i => i.Utf8.Length + 1));
        using var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true });
        writer.WriteStartObject();
        writer.WriteString("kind", form == Form.Metadata ? "PartialObjectMetadataList" : type.ListKind);
        writer.WriteString("apiVersion", form == Form.Metadata ? "meta.k8s.io/v1" : type.ApiVersion);
        writer.WritePropertyName("metadata");
        ListMeta(revision, next, remaining).WriteTo(writer);
        writer.WriteStartArray("items");
        foreach (var item in items)
            writer.WriteRawValue(
                form == Form.Metadata ? Metadata(item, "PartialObjectMetadata").ToUtf8() : Versions.ReadUtf8(type, item), true);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>An object without content that only carries a resourceVersion.</summary>
    public JsonObject Bookmark(long revision, bool initialEventsEnd)
    {
        var metadata = new JsonObject { ["resourceVersion"] = revision.ToString(), ["creationTimestamp"] = null };
        if (initialEventsEnd)
            metadata["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
        return form switch
        {
            Form.Table =>
                new JsonObject
                {
                    ["kind"] = "Table",
                    ["apiVersion"] = "meta.k8s.io/v1",
                    ["metadata"] = new JsonObject { ["resourceVersion"] = revision.ToString() },
                    ["columnDefinitions"] = new JsonArray(),
                    ["rows"] = BookmarkRow(metadata)
                },
            Form.Metadata =>
                new JsonObject { ["kind"] = "PartialObjectMetadata", ["apiVersion"] = "meta.k8s.io/v1", ["metadata"] = metadata },
            _ => new JsonObject { ["kind"] = type.Kind, ["apiVersion"] = type.ApiVersion, ["metadata"] = metadata },
        };
    }

    private static JsonArray BookmarkRow(JsonObject metadata) =>
        new(new JsonObject
        {
            ["cells"] = new JsonArray(),
            ["object"] = new JsonObject
            {
                ["kind"] = "PartialObjectMetadata",
                ["apiVersion"] = "meta.k8s.io/v1",
                ["metadata"] = metadata
            },
        });

    private JsonObject Table(IReadOnlyList<StoredObject> items, long revision, string? next, int? remaining)
    {
        var rows = new JsonArray();
        var now = time.GetUtcNow();
        foreach (var item in items)
        {
            var obj = Versions.Read(type, item);
            var row = new JsonObject { ["cells"] = layout!.Cells(obj, now) };
            if (includeObject == "Metadata")
                row["object"] = Metadata(item, "PartialObjectMetadata");
            else if (includeObject == "Object")
                row["object"] = obj;
            rows.Add((JsonNode)row);
        }
        return new JsonObject
        {
            ["kind"] = "Table",
            ["apiVersion"] = "meta.k8s.io/v1",
            ["metadata"] = ListMeta(revision, next, remaining),
            ["columnDefinitions"] = layout!.Definitions(),
            ["rows"] = rows,
        };
    }

    private static JsonObject ListMeta(long revision, string? next, int? remaining)
    {
        var metadata = new JsonObject { ["resourceVersion"] = revision.ToString() };
        if (next is not null)
            metadata["continue"] = next;
        if (remaining is not null)
            metadata["remainingItemCount"] = remaining;
        return metadata;
    }

    private static JsonObject Metadata(StoredObject stored, string kind) => new()
    {
        ["kind"] = kind,
        ["apiVersion"] = "meta.k8s.io/v1",
        ["metadata"] = stored.Copy()["metadata"]!.DeepClone(),
    };
}
