using System.Globalization;
using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>Values that several sections have: names, paths, commands, image references with placeholders.</summary>
internal sealed partial class ValueReading(Problems problems, RegistryDefinition registry)
{
    public Problems Problems => problems;

    public RegistryDefinition Registry => registry;

    public static string Known(IEnumerable<string> names)
    {
        var list = string.Join(", ", names);
        return list.Length == 0 ? "; there is none yet" : $"; known: {list}";
    }

    /// <summary>A name that becomes part of Kubernetes names and labels.</summary>
    public static string Label(MapReader map, string key, string? fallback = null)
    {
        var name = map.Text(key, fallback);
        if (map.Has(key) && !IsLabel(name))
            map.Problem(key,
                $"\"{name}\" is not right for \"{key}\" of {map.What}: small letters, digits and - inside, at most 63");
        return name;
    }

    /// <summary>A path inside the repository.</summary>
    public static string RelativePath(MapReader map, string key, string? fallback = null)
    {
        var path = map.Text(key, fallback);
        if (map.Has(key) && WrongPath(path) is { } wrong) map.Problem(key, $"\"{path}\" of \"{key}\" in {map.What} {wrong}");
        return Normal(path);
    }

    public IReadOnlyList<string> RelativePaths(MapReader map, string key)
    {
        var paths = map.TextParts(key);
        foreach (var path in paths)
            if (WrongPath(path.Value) is { } wrong)
                problems.Add(path.Position, $"\"{path.Value}\" of \"{key}\" in {map.What} {wrong}");
        return [.. paths.Select(path => Normal(path.Value))];
    }

    public static IReadOnlyList<string> Globs(MapReader map, string key)
    {
        var globs = map.Texts(key);
        try
        {
            _ = PathGlobs.Parse(globs);
        }
        catch (FormatException error)
        {
            map.Problem(key, $"\"{key}\" of {map.What}: {error.Message}");
        }
        return globs;
    }

    /// <summary>An image reference, with <c>${registry}</c> and <c>${pull-registry}</c> replaced.</summary>
    public string? Image(MapReader map, string key)
    {
        if (map.OptionalText(key) is not { } written) return null;
        var image = Expanded(written, map.PlaceOf(key));
        if (image.Length == 0
            || image.Any(letter => char.IsWhiteSpace(letter) || char.IsControl(letter))
            || image.Contains("://", StringComparison.Ordinal))
            map.Problem(key,
                $"\"{image}\" is not an image reference for \"{key}\" of {map.What}; write host/name:tag or host/name@sha256:…");
        return image;
    }

    public IReadOnlyDictionary<string, string> Variables(MapReader map, string key)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in map.Pairs(key))
        {
            if (name.Value.Length == 0 || name.Value.Contains('=') || name.Value.Contains('\0'))
                problems.Add(name.Position, $"\"{name.Value}\" in \"{key}\" of {map.What} is not a variable's name");
            variables[name.Value] = Expanded(value.Value, value.Position);
        }
        return variables;
    }

    /// <summary>The keys that every command has: <c>run</c>, <c>image</c>, <c>folder</c>, <c>env</c>.</summary>
    public CommandDefinition Command(MapReader map) =>
        new(Run(map), Image(map, "image"), RelativePath(map, "folder", "."), Variables(map, "env"));

    public static DateOnly Date(MapReader map, string key)
    {
        var text = map.Text(key);
        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date))
            return date;
        if (map.Has(key)) map.Problem(key, $"\"{text}\" is not a date for \"{key}\" of {map.What}; write it like 2030-12-31");
        return default;
    }

    /// <summary>Notes each name that stands a second time in a list of named things.</summary>
    public void Unique<T>(IEnumerable<YamlPart> parts, IEnumerable<T> things, Func<T, string> nameOf, string kind)
    {
        var names = things.Select(nameOf)
            .Where(name => name.Length > 0)
            .GroupBy(name => name, StringComparer.Ordinal)
            .Where(group => group.Count() > 1)
            .Select(group => group.Key)
            .ToHashSet(StringComparer.Ordinal);
        if (names.Count == 0) return;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var part in parts.OfType<YamlMap>())
        {
            var name = part.Entries.Select(
                entry => (entry.Key, Value: entry.Value as YamlText)).FirstOrDefault(entry => entry.Key.Value == "name").Value;
            if (name is not null && names.Contains(name.Value) && !seen.Add(name.Value))
                problems.Add(name.Position, $"there is another {kind} \"{name.Value}\"; names differ");
        }
        if (seen.Count == 0)
            problems.Add(parts.First().Position,
                $"several {kind}s have the name \"{names.First()}\"; give each a name of its own");
    }

    public static bool IsLabel(string name) => name.Length is > 0 and <= 63 && name[0] != '-' && name[^1] != '-' &&
        name.All(letter => letter is >= 'a' and <= 'z' or >= '0' and <= '9' or '-');

    public static bool IsRepositoryPath(string path) => path.Length < 254 && PathForm().IsMatch(path);

    public static bool IsWebhook(string webhook) => webhook.StartsWith("env:", StringComparison.Ordinal)
        ? IsVariable(webhook[4..])
        : Uri.TryCreate(webhook, UriKind.Absolute, out var url) && url.Scheme is "http" or "https";

    public static bool IsVariable(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_');

    [GeneratedRegex(@"^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\z")]
    private static partial Regex PathForm();

    private static string Normal(string path)
    {
        while (path.StartsWith("./", StringComparison.Ordinal)) path = path[2..];
        path = path.TrimEnd('/');
        return path.Length == 0 ? "." : path;
    }

    private static string? WrongPath(string path) => path switch
    {
        "" => "is empty; write . for the repository's root",
        _ when path.Contains('\\') => "has a backslash; write paths with /",
        _ when path[0] == '/' || path is [_, ':', ..] => "is absolute; write it from the repository's root",
        _ when path.Split('/').Contains("..") => "leaves its folder with ..; write it from the repository's root",
        _ => null,
    };

    private IReadOnlyList<string> Run(MapReader map)
    {
        switch (map.Find("run"))
        {
            case null:
                map.Missing("run");
                return [];
            case YamlText text:
                if (string.IsNullOrWhiteSpace(text.Value)) problems.Add(text.Position, $"\"run\" of {map.What} is empty");
                return ["sh", "-c", text.Value];
            case YamlList list:
                if (list.Items.Count == 0) problems.Add(list.Position, $"\"run\" of {map.What} is empty");
                return map.Texts("run");
            case var other:
                problems.Add(other.Position,
                    $"\"run\" of {map.What} must be text for a shell or a list of program and arguments, not {other.Kind}");
                return [];
        }
    }

    private string Expanded(string text, Position place)
    {
        var from = 0;
        var expanded = new System.Text.StringBuilder();
        while (text.IndexOf("${", from, StringComparison.Ordinal) is var start and >= 0)
        {
            expanded.Append(text, from, start - from);
            var end = text.IndexOf('}', start);
            var name = end < 0 ? text[(start + 2)..] : text[(start + 2)..end];
            if (name is "registry" or "pull-registry" && end >= 0)
            {
                var host = name == "registry" ? registry.Push : registry.Pull;
                if (host.Length == 0) problems.Add(place, $"\"${{{name}}}\" stands for registry.push, and there is none");
                expanded.Append(host);
            }
            else
                problems.Add(place,
                    $"\"${{{name}}}\" is not a placeholder; only ${{registry}} and ${{pull-registry}} are replaced here");
            from = end < 0 ? text.Length : end + 1;
        }
        return from == 0 ? text : expanded.Append(text, from, text.Length - from).ToString();
    }
}
