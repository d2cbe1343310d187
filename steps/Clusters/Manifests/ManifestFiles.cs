using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>Reads manifests: from a checkout, from a commit, from a text.</summary>
public static class ManifestFiles
{
    /// <summary>Reads files and folders (all <c>*.yaml</c>, <c>*.yml</c>, <c>*.json</c> below, by name).</summary>
    /// <param name="root">Folder that the paths are relative to, and must stay in.</param>
    /// <param name="paths">Files or folders.</param>
    /// <exception cref="UsageException">A path is missing or outside, or a file is not a manifest.</exception>
    public static ManifestSet Load(string root, IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        var items = new List<Manifest>();
        var inside = Path.GetFullPath(root);
        foreach (var path in paths)
        {
            var full = Path.GetFullPath(Path.Combine(inside, path));
            if (!full.StartsWith(
                inside.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal)
                && full != inside)
                throw new UsageException(
                    $"the manifests \"{path}\" are outside the checkout; give a path inside it")
                { Fault = Fault.Change };
            if (Directory.Exists(full))
            {
                var files = Directory.EnumerateFiles(full, "*", SearchOption.AllDirectories)
                    .Where(IsManifest).Order(StringComparer.Ordinal).ToList();
                if (files.Count == 0)
                    throw new UsageException(
                        $"the folder \"{path}\" does not have manifests (*.yaml, *.yml, *.json)")
                    { Fault = Fault.Change };
                foreach (var file in files) items.AddRange(Read(file, Path.GetRelativePath(inside, file)));
            }
            else if (File.Exists(full)) items.AddRange(Read(full, path));
            else
                throw new UsageException(
                    $"the manifests \"{path}\" do not exist in {inside}; correct the path in ci-steps.yaml")
                {
                    Fault = Fault.Change
                };
        }
        return ManifestSet.Of(items);

        static IReadOnlyList<Manifest> Read(string file, string name)
        {
            try
            {
                return Parse(File.ReadAllText(file), name).Items;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UsageException($"cannot read \"{name}\": {error.Message}", error) { Fault = Fault.Change };
            }
        }
    }

    /// <summary>The same of a tree that does not lie on the disk, such as a commit's.</summary>
    /// <param name="files">Paths of all files of the tree, from its root, with <c>/</c>.</param>
    /// <param name="read">A file's text; null where it is not text.</param>
    /// <param name="tree">What the tree is called in messages, such as <c>0123456789ab</c>.</param>
    /// <param name="paths">Files or folders. What the tree does not have is left out.</param>
    /// <exception cref="UsageException">A file is not a manifest.</exception>
    public static ManifestSet LoadFrom(
        IEnumerable<string> files, Func<string, string?> read, string tree, IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(read);
        ArgumentNullException.ThrowIfNull(paths);
        var all = files.Order(StringComparer.Ordinal).ToList();
        return ManifestSet.Of([.. paths.SelectMany(path =>
        {
            var folder = path.TrimEnd('/') + "/";
            return all.Where(file => file == path || file.StartsWith(folder, StringComparison.Ordinal) && IsManifest(file));
        }).SelectMany(file => Parse(read(file) ?? "", $"{file} at {tree}").Items)]);
    }

    /// <summary>Reads YAML or JSON text, any number of documents; lists are taken apart, empty documents left out.</summary>
    /// <exception cref="UsageException">It is not YAML, or a document is not a manifest; with line and column.</exception>
    public static ManifestSet Parse(string text, string source)
    {
        var items = new List<Manifest>();
        foreach (var (value, line) in YamlDocuments.Parse(text, source)) Add(value, $"{source}:{line}");
        return ManifestSet.Of(items);

        void Add(JsonNode? value, string where)
        {
            if (value is not JsonObject item)
                throw new UsageException(
                    $"{where}: this is not a manifest: it needs apiVersion, kind and metadata")
                { Fault = Fault.Change };
            if (Text(item["kind"]) is not { Length: > 0 } kind)
                throw new UsageException($"{where}: a manifest needs \"kind\"") { Fault = Fault.Change };
            if (Text(item["apiVersion"]) is not { Length: > 0 })
                throw new UsageException($"{where}: the {kind} needs \"apiVersion\"") { Fault = Fault.Change };
            if (kind.EndsWith("List", StringComparison.Ordinal) && item["items"] is JsonArray list)
            {
                foreach (var part in list) Add(part?.DeepClone(), where);
                return;
            }
            if (item["metadata"] is not JsonObject metadata || Text(metadata["name"]) is not { Length: > 0 })
                throw new UsageException($"{where}: the {kind} needs \"metadata.name\"") { Fault = Fault.Change };
            var manifest = new Manifest(item, where);
            try
            {
                manifest.CheckTypes();
            }
            catch (OutsideJsonException wrong)
            {
                throw new UsageException(
                    $"{where}: the {kind} \"{manifest.Name}\" is not one: {wrong.What}", wrong)
                { Fault = Fault.Change };
            }
            items.Add(manifest);
        }

        static string? Text(JsonNode? node) =>
            node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? (string?)value : null;
    }

    /// <summary>Whether a file in a folder of manifests is one, by its name; kustomizations are for another program.</summary>
    public static bool IsManifest(string path) => Path.GetExtension(path) is ".yaml" or ".yml" or ".json"
        && Path.GetFileName(path) is not ("kustomization.yaml" or "kustomization.yml");
}
