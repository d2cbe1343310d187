using System.Text.RegularExpressions;
using CiSteps.Clusters;
using CiSteps.Hosting;

namespace CiSteps.Cli.Scaffolding;

/// <summary>The image of a component for a first ci-steps.yaml.</summary>
internal sealed record StarterImage(string Dockerfile, string Context);

/// <summary>A workload found in manifests: where it stands, its kind, name and container.</summary>
/// <param name="Kind">Kind of the workload.</param>
/// <param name="Name">metadata.name of the workload.</param>
/// <param name="Container">Container that gets the image.</param>
/// <param name="Manifests">The file that it stands in, or the folder with all that belongs to it.</param>
internal sealed record StarterWorkload(string Kind, string Name, string Container, string Manifests);

/// <summary>A component for a first ci-steps.yaml.</summary>
internal sealed record StarterComponent(
    string Name,
    string Folder,
    IReadOnlyList<string> Paths,
    StarterImage? Image,
    StarterWorkload? Workload,
    IReadOnlyList<StarterTest> Tests);

/// <summary>Finds the components of a repository: one per Dockerfile, with its workload and its tests.</summary>
internal static partial class StarterComponents
{
    // Nobody writes a manifest of this size; data may be.
    private const long LargestManifest = 1 << 20;

    private static readonly string[] Ignored = [
        "node_modules", "bin", "obj", "vendor", "artifacts", "target", "dist", "venv", "__pycache__"
    ];

    // Folders that are about building, not about a component of their own.
    private static readonly string[] Nameless = [
        "docker", "build", "deploy", "container", "containers", "ci", "images", "package"
    ];

    /// <summary>The components, and what a person has to see to.</summary>
    /// <param name="folder">The work tree.</param>
    /// <param name="service">Name of a component that is the whole repository.</param>
    public static (IReadOnlyList<StarterComponent> Components, IReadOnlyList<string> Hints) In(string folder, string service)
    {
        var files = Files(folder);
        var components = Find(folder, files, service);
        var hints = new List<string>();
        if (files.FirstOrDefault(file => Path.GetFileName(file) == "Chart.yaml") is { } chart)
            hints.Add($"{chart}: charts are not rendered; keep the manifests that helm template writes");
        var outside = files
            .Where(
                file => file.Contains('/', StringComparison.Ordinal)
                    && !components.Any(component => PathGlobs.Parse(component.Paths).Matches(file)))
            .ToList();
        if (outside.Count > 0)
            hints.Add(
                "of no component, so a change there runs nothing: " +
                $"{string.Join(", ", outside.Select(TopFolder).Distinct().Take(8))}; " +
                "add it to the paths of each component that needs it");
        foreach (var test in StarterTests.In(folder, outside))
            hints.Add(
                $"tests there, to be given to the component that they test: {(test.Folder.Length == 0 ? "." : test.Folder)}: " +
                $"{test.Command ?? test.Hint}");
        return (components, hints);
    }

    private static List<StarterComponent> Find(string folder, IReadOnlyList<string> files, string service)
    {
        var images = files.Where(IsDockerfile).Select(file => (File: file, Own: Own(file))).ToList();
        var workloads = WorkloadsIn(folder, files);
        if (images.Count == 0) return [new(service, "", ["**"], null, null, StarterTests.In(folder, files))];
        // One image is what all of the repository is for.
        var whole = images.Count == 1;
        var found = new List<StarterComponent>();
        foreach (var (file, own) in images)
        {
            var at = whole ? "" : own;
            var nested = images.Select(other => other.Own)
                .Where(other => !whole && other != own && IsBelow(other, own))
                .Distinct()
                .ToList();
            var name = Name(file, own, service);
            for (var number = 2; found.Any(other => other.Name == name); number++)
                name = own.Length > 0 && StarterPipeline.Slug(own) is { } longer && found.All(other => other.Name != longer)
                    ? longer
                    : $"{Name(file, own, service)}-{number}";
            var workload = workloads.FirstOrDefault(one => one.Name == name)
                ?? workloads.FirstOrDefault(one => own.Length > 0 && IsBelow(one.Manifests, own))
                ?? (whole && workloads.Count == 1 ? workloads[0] : null);
            // A folder with several images has its tests once.
            var tests = found.Any(other => other.Folder == own)
                ? []
                : StarterTests.In(
                    folder, [.. files.Where(path => IsBelow(path, at) && !nested.Any(below => IsBelow(path, below)))]);
            var paths = new List<string> { Everything(at) };
            paths.AddRange(nested.Select(below => $"!{Everything(below)}"));
            // Its manifests are part of it wherever they stand.
            if (workload is not null
                && (!IsBelow(workload.Manifests, at) || nested.Any(below => IsBelow(workload.Manifests, below))))
                paths.Add(files.Contains(workload.Manifests) ? workload.Manifests : Everything(workload.Manifests));
            found.Add(new(name, own, paths, new(file, ContextOf(folder, file, own)), workload, tests));
        }
        return found;
    }

    private static bool IsDockerfile(string file) =>
        Path.GetFileName(file) is var name && (name is "Dockerfile" or "Containerfile"
            || (name.StartsWith("Dockerfile.", StringComparison.Ordinal)
                || name.EndsWith(".Dockerfile", StringComparison.Ordinal))
                && !name.EndsWith("ignore", StringComparison.Ordinal));

    // The component's folder: that of the Dockerfile, or the one above where that is only about building.
    private static string Own(string dockerfile)
    {
        var own = FolderOf(dockerfile);
        return Nameless.Contains(Path.GetFileName(own)) ? FolderOf(own) : own;
    }

    // What the Dockerfile copies tells which folder it is meant to be built in: its own, or the repository's root.
    private static string ContextOf(string folder, string dockerfile, string own)
    {
        var sources = Copied()
            .Matches(File.ReadAllText(Path.Combine(folder, dockerfile)))
            .Select(match => match.Groups[1].Value.Trim('"'))
            .Where(source => !source.Contains('*', StringComparison.Ordinal) && !source.Contains('$', StringComparison.Ordinal));
        return own.Length == 0
            || sources.Any(
                source => !Path.Exists(Path.Combine(folder, own, source.TrimStart('/')))
                    && Path.Exists(Path.Combine(folder, source.TrimStart('/'))))
            ? "."
            : own;
    }

    private static string Name(string dockerfile, string own, string service)
    {
        var file = Path.GetFileName(dockerfile);
        var part = file.StartsWith("Dockerfile.", StringComparison.Ordinal)
            ? file["Dockerfile.".Length..]
            : file.EndsWith(".Dockerfile", StringComparison.Ordinal) ? file[..^".Dockerfile".Length] : "";
        return StarterPipeline.Slug(part) is { Length: > 0 } named
            ? named
            : own.Length > 0 && StarterPipeline.Slug(Path.GetFileName(own)) is { Length: > 0 } folder ? folder : service;
    }

    // What is not a manifest, such as a chart's template, is passed over.
    private static List<StarterWorkload> WorkloadsIn(string folder, IReadOnlyList<string> files)
    {
        var read = files.Where(file => Path.GetExtension(file) is not ".json" && ManifestFiles.IsManifest(file))
            .ToDictionary(file => file, file => Read(folder, file), StringComparer.Ordinal);
        var found = new List<StarterWorkload>();
        foreach (var (file, items) in read)
            foreach (var item in (items ?? []).Where(IsWorkload))
            {
                // What stands beside it belongs to it (services, config maps), unless another workload stands there too.
                var at = FolderOf(file);
                var beside = at.Length == 0 ? [] : read.Where(other => IsBelow(other.Key, at)).ToList();
                var shared = beside.Count > 1
                    && beside.TrueForAll(other => other.Value is not null)
                    && beside.Sum(other => other.Value!.Count(IsWorkload)) == 1;
                found.Add(new(item.Kind, item.Name, item.ContainerNames.FirstOrDefault(item.Name), shared ? at : file));
            }
        return found;
    }

    private static IReadOnlyList<Manifest>? Read(string folder, string file)
    {
        var path = Path.Combine(folder, file);
        if (new FileInfo(path).Length > LargestManifest) return null;
        try
        {
            return ManifestFiles.Parse(File.ReadAllText(path), file).Items;
        }
        catch (UsageException)
        {
            return null;
        }
    }

    private static bool IsWorkload(Manifest item) =>
        item.Kind is "Deployment" or "StatefulSet" or "DaemonSet"
            && item.ContainerNames.Count > 0
            && StarterPipeline.Slug(item.Name) == item.Name;

    // What is hidden, made by a build or a template of folders (whose name no glob can hold) is not a source.
    private static List<string> Files(string folder) =>
        [.. Directory.EnumerateFiles(
            folder,
            "*",
            new EnumerationOptions
            {
                RecurseSubdirectories = true,
                MaxRecursionDepth = 6,
                AttributesToSkip = FileAttributes.Hidden | FileAttributes.ReparsePoint,
                IgnoreInaccessible = true
            })
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'))
                .Where(
                    file => !file
                        .Split('/')
                        .Any(part => part.StartsWith('.') || part.AsSpan().ContainsAny("{}*?!") || Ignored.Contains(part)))
                .Order(StringComparer.Ordinal)];

    private static bool IsBelow(string path, string folder) =>
        folder.Length == 0 || path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal);

    private static string Everything(string folder) => folder.Length == 0 ? "**" : folder + "/**";

    private static string TopFolder(string file) => file[..file.IndexOf('/', StringComparison.Ordinal)];

    private static string FolderOf(string path) => (Path.GetDirectoryName(path) ?? "").Replace('\\', '/');

    [GeneratedRegex(
        @"^\s*(?:COPY|ADD)\s+(?!.*--from=)(?:--\S+\s+)*\[?\s*([^\s,\]]+)", RegexOptions.Multiline | RegexOptions.IgnoreCase)]
    private static partial Regex Copied();
}
