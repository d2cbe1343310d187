using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>An OpenAPI v2 document in the binary form that kubectl asks for and nothing else will do for old ones.</summary>
internal static class OpenApiProtobuf
{
    public static byte[] Encode(JsonObject document)
    {
        var writer = new ProtobufWriter();
        writer.Text(1, document.Str("swagger"));
        writer.Message(2, info =>
        {
            info.Text(1, document.Str("info", "title"));
            info.Text(2, document.Str("info", "version"));
        });
        writer.Message(8, paths =>
        {
            foreach (var (path, item) in document.Obj("paths")!)
                paths.Message(2, named => Named(named, path, w => PathItem(w, (JsonObject)item!)));
        });
        writer.Message(9, definitions =>
        {
            foreach (var (name, schema) in document.Obj("definitions")!)
                definitions.Message(1, named => Named(named, name, w => Schema(w, (JsonObject)schema!)));
        });
        return writer.ToArray();
    }

    private static void Named(ProtobufWriter writer, string name, Action<ProtobufWriter> value)
    {
        writer.Text(1, name);
        writer.Message(2, value);
    }

    private static void PathItem(ProtobufWriter writer, JsonObject item)
    {
        foreach (var (method, field) in new[] { ("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8) })
        {
            if (item.Obj(method) is { } operation)
                writer.Message(field, w => Operation(w, operation));
        }
        foreach (var parameter in item.Objs("parameters"))
            writer.Message(9, w => Parameter(w, parameter));
    }

    private static void Operation(ProtobufWriter writer, JsonObject operation)
    {
        writer.Text(5, operation.Str("operationId"));
        foreach (var media in operation.Strs("produces"))
            writer.Text(6, media);
        foreach (var media in operation.Strs("consumes"))
            writer.Text(7, media);
        foreach (var parameter in operation.Objs("parameters"))
            writer.Message(8, w => Parameter(w, parameter));
        writer.Message(9, responses =>
        {
            foreach (var (code, response) in operation.Obj("responses")!)
            {
                responses.Message(1, named => Named(named, code, value => value.Message(1, r =>
                {
                    r.Text(1, response.Str("description"));
                    if (response.Obj("schema") is { } schema)
                        r.Message(2, item => item.Message(1, w => Schema(w, schema)));
                })));
            }
        });
        Extensions(writer, 13, operation);
    }

    private static void Parameter(ProtobufWriter writer, JsonObject parameter) => writer.Message(1, p =>
    {
        if (parameter.Str("in") == "body")
        {
            p.Message(1, body =>
            {
                body.Text(2, parameter.Str("name"));
                body.Text(3, "body");
                body.Flag(4, parameter.Flag("required"));
                body.Message(5, w => Schema(w, parameter.Obj("schema")!));
            });
            return;
        }
        var query = parameter.Str("in") == "query";
        p.Message(2, other => other.Message(query ? 3 : 4, w =>
        {
            w.Flag(1, parameter.Flag("required"));
            w.Text(2, parameter.Str("in"));
            w.Text(4, parameter.Str("name"));
            w.Text(query ? 6 : 5, parameter.Str("type"));
            w.Flag(query ? 19 : 18, false);
        }));
    });

    private static void Schema(ProtobufWriter writer, JsonObject schema)
    {
        writer.Text(1, schema.Str("$ref"));
        writer.Text(2, schema.Str("format"));
        writer.Text(3, schema.Str("title"));
        writer.Text(4, schema.Str("description"));
        if (schema.At("default") is { } byDefault)
            writer.Message(5, any => any.Text(2, byDefault.ToJsonString()));
        writer.Number(11, schema.Num("maxLength"));
        writer.Number(12, schema.Num("minLength"));
        writer.Text(13, schema.Str("pattern"));
        writer.Number(14, schema.Num("maxItems"));
        writer.Number(15, schema.Num("minItems"));
        foreach (var required in schema.Strs("required"))
            writer.Text(19, required);
        foreach (var value in schema.At("enum") as JsonArray ?? [])
            writer.Message(20, any => any.Text(2, value?.ToJsonString()));
        if (schema.Obj("additionalProperties") is { } values)
            writer.Message(21, item => item.Message(1, w => Schema(w, values)));
        else if (schema.Flag("additionalProperties"))
            writer.Message(21, item => item.Flag(2, true));
        if (schema.Str("type") is { } type)
            writer.Message(22, item => item.Text(1, type));
        if (schema.Obj("items") is { } items)
            writer.Message(23, item => item.Message(1, w => Schema(w, items)));
        if (schema.Obj("properties") is { Count: > 0 } properties)
        {
            writer.Message(25, list =>
            {
                foreach (var (name, property) in properties)
                    list.Message(1, named => Named(named, name, w => Schema(w, (JsonObject)property!)));
            });
        }
        Extensions(writer, 31, schema);
    }

    private static void Extensions(ProtobufWriter writer, int field, JsonObject node)
    {
        foreach (var (name, value) in node)
        {
            if (name.StartsWith("x-", StringComparison.Ordinal))
                writer.Message(field, named => Named(named, name, any => any.Text(2, value?.ToJsonString())));
        }
    }
}
