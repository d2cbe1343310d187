using System.Text.Json;
using CiSteps.Hosting.Json;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// A text in the form of docker's config.json, read with docker's own leniency (names in any case, the last of two counts,
/// an empty text is an empty configuration) and its strictness about types.
/// </summary>
/// <param name="Name">Where it stands, for people.</param>
/// <param name="Auths">Entries by server.</param>
/// <param name="Helpers">Helper by server.</param>
/// <param name="Store">Helper of all other servers; null when there is none.</param>
/// <param name="Proxies">Proxies by engine.</param>
internal sealed record ConfigurationSource(
    string Name,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Auths,
    IReadOnlyDictionary<string, string> Helpers,
    string? Store,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Proxies)
{
    private static readonly JsonLimits AsDockerReads = JsonLimits.Standard with { AllowsDuplicates = true, IgnoresCase = true };
    private static readonly string[] AuthFields = ["auth", "username", "password", "identitytoken"];
    private static readonly string[] ProxyFields = ["httpProxy", "httpsProxy", "noProxy", "ftpProxy", "allProxy"];

    /// <exception cref="UsageException">It is not JSON, or a part of it has another type than docker gives it.</exception>
    public static ConfigurationSource Parse(string name, byte[] text)
    {
        if (text.AsSpan().StartsWith("\uFEFF"u8)) text = text[3..];
        if (text.AsSpan().IndexOfAnyExcept(" \t\r\n"u8) < 0) text = "{}"u8.ToArray();
        try
        {
            using var document = OutsideJson.ReadDocument(text, name, AsDockerReads);
            var root = document.RootElement;
            Require(root, JsonValueKind.Object, "the top", name);
            return new ConfigurationSource(
                name,
                Entries(root, "auths", AuthFields, name),
                Texts(Find(root, "credHelpers"), "credHelpers", null, name),
                Find(root, "credsStore") is { } store ? Text(store, "credsStore", name) : null,
                Entries(root, "proxies", ProxyFields, name));
        }
        catch (OutsideJsonException error)
        {
            throw new UsageException($"docker's configuration in {name} is not JSON that can be read: {error.What}; "
                + "mend it, or take it away and run docker login again", error);
        }
    }

    private static IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Entries(
        JsonElement root, string key, string[] fields, string name)
    {
        var entries = new Dictionary<string, IReadOnlyDictionary<string, string>>(StringComparer.Ordinal);
        if (Find(root, key) is not { } all) return entries;
        Require(all, JsonValueKind.Object, $"\"{key}\"", name);
        foreach (var entry in all.EnumerateObject())
            if (entry.Value.ValueKind != JsonValueKind.Null)
                entries[entry.Name] = Texts(entry.Value, $"{key}.{entry.Name}", fields, name);
        return entries;
    }

    private static IReadOnlyDictionary<string, string> Texts(JsonElement? element, string key, string[]? fields, string name)
    {
        var texts = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (element is not { } all) return texts;
        Require(all, JsonValueKind.Object, $"\"{key}\"", name);
        foreach (var entry in all.EnumerateObject())
        {
            if (entry.Value.ValueKind == JsonValueKind.Null
                || fields?.Contains(entry.Name, StringComparer.OrdinalIgnoreCase) == false) continue;
            texts[entry.Name] = Text(entry.Value, $"{key}.{entry.Name}", name);
        }
        return texts;
    }

    private static string Text(JsonElement element, string key, string name)
    {
        Require(element, JsonValueKind.String, $"\"{key}\"", name);
        return element.GetString()!;
    }

    private static JsonElement? Find(JsonElement root, string key)
    {
        JsonElement? found = null;
        foreach (var entry in root.EnumerateObject())
            if (string.Equals(entry.Name, key, StringComparison.OrdinalIgnoreCase) && entry.Value.ValueKind != JsonValueKind.Null)
                found = entry.Value;
        return found;
    }

    private static void Require(JsonElement element, JsonValueKind kind, string what, string name)
    {
        if (element.ValueKind == kind) return;
        var found = element.ValueKind switch
        {
            JsonValueKind.True or JsonValueKind.False => $"\"{element.GetRawText()}\"",
            _ => JsonMembers.Word(element.ValueKind),
        };
        var wanted = kind == JsonValueKind.Object ? "an object" : "a text";
        throw new UsageException($"{what} of docker's configuration in {name} must be {wanted} and is {found}; mend it, or run "
            + "docker login again");
    }
}
