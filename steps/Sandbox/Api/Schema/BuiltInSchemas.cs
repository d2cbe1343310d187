using System.Collections.Frozen;

namespace CiSteps.Sandbox.Api.Schema;

/// <summary>The types of the built-in kinds, read from types.txt once.</summary>
internal static class BuiltInSchemas
{
    private static readonly Lazy<FrozenDictionary<string, TypeSchema>> Loaded = new(Load);

    private static readonly FrozenDictionary<string, string> PackageOfGroup = new Dictionary<string, string>
    {
        [""] = "core",
        ["apps"] = "apps",
        ["batch"] = "batch",
        ["coordination.k8s.io"] = "coordination",
        ["discovery.k8s.io"] = "discovery",
        ["events.k8s.io"] = "events",
        ["autoscaling"] = "autoscaling",
        ["policy"] = "policy",
        ["networking.k8s.io"] = "networking",
        ["scheduling.k8s.io"] = "scheduling",
        ["rbac.authorization.k8s.io"] = "rbac",
        ["apiextensions.k8s.io"] = "apiextensions",
        ["authentication.k8s.io"] = "authentication",
        ["authorization.k8s.io"] = "authorization",
        ["meta"] = "meta",
    }.ToFrozenDictionary();

    public static IReadOnlyDictionary<string, TypeSchema> All => Loaded.Value;

    public static TypeSchema ObjectMeta => All["meta.ObjectMeta"];

    public static TypeSchema? Find(string group, string kind) =>
        PackageOfGroup.TryGetValue(group, out var package) ? All.GetValueOrDefault($"{package}.{kind}") : null;

    private static FrozenDictionary<string, TypeSchema> Load()
    {
        using var stream = typeof(BuiltInSchemas).Assembly.GetManifestResourceStream("types.txt")
            ?? throw new InvalidOperationException("the assembly lacks types.txt");
        using var reader = new StreamReader(stream);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l[0] != '#').ToList();
        var types = new Dictionary<string, TypeSchema>(StringComparer.Ordinal);
        foreach (var line in lines.Where(l => l[0] != ' '))
        {
            var words = line.Split(' ');
            types[words[0]] = new TypeSchema(SchemaKind.Object) { Name = words[0], Atomic = words.Contains("atomic") };
        }
        TypeSchema? current = null;
        foreach (var line in lines)
        {
            if (line[0] != ' ')
            {
                current = types[line.Split(' ')[0]];
                continue;
            }
            var words = line[1..].Split(' ');
            var required = words[0].EndsWith('!');
            var name = words[0].TrimEnd('!');
            current!.Fields[name] = new FieldSchema(name, Type(words.AsSpan(1), types), required, words.Contains("retain"),
                words.FirstOrDefault(w => w[0] == '@')?[1..] ?? "");
        }
        return types.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private static TypeSchema Type(ReadOnlySpan<string> words, Dictionary<string, TypeSchema> types)
    {
        switch (words[0])
        {
            case "list":
                string? key = null;
                string[] map = [];
                foreach (var word in words[2..])
                {
                    if (word.StartsWith("key=", StringComparison.Ordinal))
                        key = word[4..];
                    else if (word.StartsWith("map=", StringComparison.Ordinal))
                        map = word[4..].Split(',');
                }
                return new TypeSchema(SchemaKind.List)
                {
                    Element = Type(words[1..], types),
                    PatchKey = key,
                    MapKeys = map,
                    IsSet = words.Contains("set"),
                    Union = words.Contains("union"),
                    Atomic = map.Length == 0 && !words.Contains("set"),
                };
            case "map":
                return new TypeSchema(SchemaKind.Map) { Element = Type(words[1..], types), Atomic = words.Contains("atomic") };
            case "string": return Text;
            case "bytes": return Bytes;
            case "time": return Time;
            case "microtime": return MicroTime;
            case "int32": return Int32;
            case "int64": return Int64;
            case "double": return Double;
            case "bool": return Boolean;
            case "intorstring": return IntOrString;
            case "quantity": return Quantity;
            case "any": return TypeSchema.Any;
            case var name: return types[name];
        }
    }

    private static readonly TypeSchema Text = new(SchemaKind.Text);
    private static readonly TypeSchema Bytes = new(SchemaKind.Text) { Format = "byte" };
    private static readonly TypeSchema Time = new(SchemaKind.Text) { Format = "date-time" };
    private static readonly TypeSchema MicroTime = new(SchemaKind.Text) { Format = "micro-time" };
    private static readonly TypeSchema Int32 = new(SchemaKind.Integer) { Format = "int32" };
    private static readonly TypeSchema Int64 = new(SchemaKind.Integer) { Format = "int64" };
    private static readonly TypeSchema Double = new(SchemaKind.Number) { Format = "double" };
    private static readonly TypeSchema Boolean = new(SchemaKind.Boolean);
    private static readonly TypeSchema IntOrString = new(SchemaKind.IntOrString);
    private static readonly TypeSchema Quantity = new(SchemaKind.Quantity);
}
