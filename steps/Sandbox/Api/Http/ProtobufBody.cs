using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>
/// Reads objects in Kubernetes' binary encoding, which kubectl uses from 1.32 on for what it makes by itself
/// (<c>create</c>, <c>auth can-i</c>, <c>create token</c>). Answers are always JSON.
/// </summary>
internal static class ProtobufBody
{
    /// <summary>Fields that the encoding writes even when they are unset; their zero means nothing.</summary>
    private static readonly HashSet<string> ZeroIsUnset =
    [
        "hostPort", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
        "generation", "nodePort", "minReadySeconds",
        "observedGeneration", "count", "healthCheckNodePort",
    ];

    private static readonly HashSet<string> FalseIsUnset =
        [
            "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly", "unschedulable", "paused",
            "publishNotReadyAddresses", "unsatisfiable"
        ];

    public static JsonObject Read(byte[] body)
    {
        if (body is not [(byte)'k', (byte)'8', (byte)'s', 0, ..])
            throw ApiException.BadRequest(
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
        try
        {
            return ReadEnvelope(body.AsSpan(4));
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentOutOfRangeException or OverflowException)
        {
            throw ApiException.BadRequest("the protobuf message in the body is truncated");
        }
    }

    private static JsonObject ReadEnvelope(ReadOnlySpan<byte> envelope)
    {
        string apiVersion = "", kind = "";
        ReadOnlySpan<byte> raw = [];
        var reader = new Reader(envelope);
        while (reader.Next(out var field, out var wire))
        {
            if (field == 1 && wire == 2)
            {
                var meta = new Reader(reader.Bytes());
                while (meta.Next(out var metaField, out var metaWire))
                {
                    if (metaField == 1)
                        apiVersion = Encoding.UTF8.GetString(meta.Bytes());
                    else if (metaField == 2)
                        kind = Encoding.UTF8.GetString(meta.Bytes());
                    else
                        meta.Skip(metaWire);
                }
            }
            else if (field == 2 && wire == 2)
                raw = reader.Bytes();
            else
                reader.Skip(wire);
        }
        var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        var schema = kind is "DeleteOptions" ? BuiltInSchemas.All["meta.DeleteOptions"]
            : BuiltInSchemas.Find(slash < 0 ? "" : apiVersion[..slash], kind)
            ?? throw BodyReader.Unsupported("application/vnd.kubernetes.protobuf", "application/json", "application/yaml");
        var obj = new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = kind };
        Object(schema, raw, obj, "");
        return obj;
    }

    private static void Object(TypeSchema schema, ReadOnlySpan<byte> bytes, JsonObject target, string prefix)
    {
        var reader = new Reader(bytes);
        while (reader.Next(out var number, out var wire))
        {
            var path = prefix + number;
            var field = schema.Fields.Values.FirstOrDefault(f => f.Number == path);
            if (field is not null)
                Field(field, ref reader, wire, target);
            else if (wire == 2 && schema.Fields.Values.Any(f => f.Number.StartsWith(path + ".", StringComparison.Ordinal)))
                Object(schema, reader.Bytes(), target, path + ".");
            else
                reader.Skip(wire);
        }
    }

    private static void Field(FieldSchema field, ref Reader reader, int wire, JsonObject target)
    {
        switch (field.Type.Kind)
        {
            case SchemaKind.List:
                if (target[field.Name] is not JsonArray list)
                    target[field.Name] = list = [];
                if (Value(field.Type.Element!, ref reader, wire, "") is { } item)
                    list.Add(item);
                return;
            case SchemaKind.Map:
                var (key, value) = Entry(field.Type.Element!, reader.Bytes());
                target.Ensure(field.Name)[key] = value;
                return;
            default:
                if (Value(field.Type, ref reader, wire, field.Name) is { } single)
                    target[field.Name] = single;
                return;
        }
    }

    private static JsonNode? Value(TypeSchema type, ref Reader reader, int wire, string name)
    {
        if (wire == 0)
        {
            var number = (long)reader.Varint();
            if (type.Kind == SchemaKind.Boolean)
                return number == 0 && FalseIsUnset.Contains(name) ? null : number != 0;
            return number == 0 && ZeroIsUnset.Contains(name) ? null : number;
        }
        if (wire == 1)
            return BitConverter.Int64BitsToDouble((long)reader.Fixed64());
        var bytes = reader.Bytes();
        switch (type.Kind)
        {
            case SchemaKind.Text when type.Format is "date-time" or "micro-time":
                return Time(bytes, type.Format == "micro-time");
            case SchemaKind.Text when type.Format == "byte":
                return Convert.ToBase64String(bytes);
            case SchemaKind.Text:
                return bytes.Length == 0 && name.Length > 0 ? null : Encoding.UTF8.GetString(bytes);
            case SchemaKind.Quantity:
                return Inner(bytes, 1);
            case SchemaKind.IntOrString:
                return IntOrString(bytes);
            case SchemaKind.Any:
                return Inner(bytes, 1) is { } json ? JsonNode.Parse(json) : null;
            default:
                var obj = new JsonObject();
                Object(type, bytes, obj, "");
                return obj;
        }
    }

    private static (string Key, JsonNode? Value) Entry(TypeSchema element, ReadOnlySpan<byte> bytes)
    {
        var reader = new Reader(bytes);
        var key = "";
        JsonNode? value = element.Kind == SchemaKind.Text ? "" : null;
        while (reader.Next(out var number, out var wire))
        {
            if (number == 1)
                key = Encoding.UTF8.GetString(reader.Bytes());
            else if (element.Kind == SchemaKind.List)
            {
                // A list inside a map is a message of its own with repeated items.
                var list = new JsonArray();
                var items = new Reader(reader.Bytes());
                while (items.Next(out _, out var itemWire))
                    list.Add(Value(element.Element!, ref items, itemWire, ""));
                value = list;
            }
            else
                value = Value(element, ref reader, wire, "");
        }
        return (key, value);
    }

    private static string? Inner(ReadOnlySpan<byte> bytes, int wanted)
    {
        var reader = new Reader(bytes);
        while (reader.Next(out var number, out var wire))
        {
            if (number == wanted && wire == 2)
                return Encoding.UTF8.GetString(reader.Bytes());
            reader.Skip(wire);
        }
        return null;
    }

    private static JsonNode IntOrString(ReadOnlySpan<byte> bytes)
    {
        long type = 0, number = 0;
        var text = "";
        var reader = new Reader(bytes);
        while (reader.Next(out var field, out var wire))
        {
            if (field == 1)
                type = (long)reader.Varint();
            else if (field == 2)
                number = (long)reader.Varint();
            else if (field == 3)
                text = Encoding.UTF8.GetString(reader.Bytes());
            else
                reader.Skip(wire);
        }
        return type == 0 ? number : text;
    }

    private static JsonNode? Time(ReadOnlySpan<byte> bytes, bool micro)
    {
        long seconds = 0, nanos = 0;
        var reader = new Reader(bytes);
        while (reader.Next(out var field, out var wire))
        {
            if (field == 1)
                seconds = (long)reader.Varint();
            else if (field == 2)
                nanos = (long)reader.Varint();
            else
                reader.Skip(wire);
        }
        if (bytes.Length == 0)
            return null;
        var time = DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(nanos / 100);
        return micro ? time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ") : JsonAccess.Stamp(time);
    }

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> bytes = bytes;
        private int position;

        public bool Next(out int field, out int wire)
        {
            field = wire = 0;
            if (position >= bytes.Length)
                return false;
            var tag = Varint();
            field = (int)(tag >> 3);
            wire = (int)(tag & 7);
            return true;
        }

        public ulong Varint()
        {
            ulong value = 0;
            for (var shift = 0; ; shift += 7)
            {
                var part = bytes[position++];
                value |= (ulong)(part & 0x7f) << shift;
                if (part < 0x80)
                    return value;
            }
        }

        public ulong Fixed64()
        {
            var value = BitConverter.ToUInt64(bytes.Slice(position, 8));
            position += 8;
            return value;
        }

        public ReadOnlySpan<byte> Bytes()
        {
            var length = checked((int)Varint());
            var slice = bytes.Slice(position, length);
            position += length;
            return slice;
        }

        public void Skip(int wire)
        {
            switch (wire)
            {
                case 0:
                    Varint();
                    break;
                case 1:
                    position += 8;
                    break;
                case 2:
                    Bytes();
                    break;
                default:
                    position += 4;
                    break;
            }
        }
    }
}
