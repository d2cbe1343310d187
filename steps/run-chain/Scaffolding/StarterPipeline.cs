using System.Text;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.RunChain.Scaffolding;

/// <summary>A first ci-steps.yaml from what a repository holds: Dockerfiles, manifests, test projects. A person reads it before it is used.</summary>
internal static partial class StarterPipeline
{
    private static readonly string[] ignored = ["node_modules", "bin", "obj", "vendor", "artifacts", "target", "dist", "venv", "__pycache__"];

    // Folders that are about building, not about a component of their own.
    private static readonly string[] nameless = ["docker", "build", "deploy", "container", "containers", "ci", "images", "package"];

    private sealed record Workload(string Kind, string Name, string Container, string Manifests, string File);

    private sealed record Found(string Name, string Folder, IReadOnlyList<string> Paths, string? Dockerfile, string Context, Workload? Workload, IReadOnlyList<StarterTest> Tests);

    /// <summary>The file's text.</summary>
    /// <param name="folder">The work tree.</param>
    /// <param name="service">Name of a component that is the whole repository.</param>
    /// <param name="targetBranch">Where releases come from.</param>
    /// <param name="privateBranches">Pattern of private branches.</param>
    /// <exception cref="UsageException">The service's name gives no component's name.</exception>
    public static string For(string folder, string service, string targetBranch, string privateBranches)
    {
        var files = Files(folder);
        var components = Components(folder, files, Slug(service) is { Length: > 0 } name ? name : throw new UsageException($"the service name \"{service}\" gives no component's name"));
        var text = new StringBuilder();
        text.Append("# A first pipeline file, made from what stands in this repository. Read it, mend it, then remove this line.\n");
        text.Append("registry:\n  push: registry.example.com\n\n");
        text.Append($"branches:\n  target: {Scalar(targetBranch)}\n  private: {Scalar(privateBranches)}\n\ncomponents:\n");
        foreach (var component in components) Append(text, component);
        if (components.Any(component => component.Workload is not null))
        {
            text.Append("\n# An integration suite deploys to a testbed and tests there; see the schema for all keys.\n# integration:\n#   - name: smoke\n#     class: small\n#     namespace: smoke\n#     tests:\n#       job: integration/job.yaml\n");
            text.Append("\n# production:\n#   waves:\n#     - name: all\n#       targets:\n#         - name: production\n#           kubeconfig: CISTEPS_PRODUCTION_KUBECONFIG\n#           namespace: default\n");
        }
        text.Append("\nnotifications:\n  owners:\n    team:\n      webhook: env:CISTEPS_NOTIFICATION_WEBHOOK\n");
        return text.ToString();
    }

    /// <summary>A name as components have it.</summary>
    internal static string Slug(string text)
    {
        var slug = NotSlug().Replace(text.ToLowerInvariant(), "-").Trim('-');
        return slug.Length <= 63 ? slug : slug[..63].Trim('-');
    }

    private static void Append(StringBuilder text, Found component)
    {
        text.Append($"  - name: {component.Name}\n    paths: [{string.Join(", ", component.Paths.Select(Scalar))}]\n    owners: [team]\n    major: 1\n");
        foreach (var hint in component.Tests.Where(test => test.Command is null)) text.Append($"    # tests in {(hint.Folder.Length == 0 ? "." : hint.Folder)}: {hint.Hint}\n");
        var runs = component.Tests.Where(test => test.Command is not null).ToList();
        if (runs.Count > 0) text.Append("    # With an image: each command runs in a container of it, and an agent needs nothing but the engine.\n    unit-tests:\n");
        foreach (var test in runs)
        {
            text.Append($"      - name: {Scalar(test.Name)}\n        run: {Scalar(test.Command!)}\n");
            if (test.Folder.Length > 0) text.Append($"        folder: {Scalar(test.Folder)}\n");
            if (test.Reports is { } reports) text.Append($"        reports: [{Scalar((test.Folder.Length > 0 ? test.Folder + "/" : "") + reports)}]\n");
            text.Append($"        format: {test.Format}\n");
        }
        if (component.Dockerfile is { } dockerfile) text.Append($"    image:\n      dockerfile: {Scalar(dockerfile)}\n      context: {Scalar(component.Context)}\n");
        if (component.Workload is { } workload)
            text.Append($"    workload:\n      manifests: [{Scalar(workload.Manifests)}]\n      kind: {workload.Kind}\n      name: {workload.Name}\n      container: {workload.Container}\n");
    }

    private static IReadOnlyList<Found> Components(string folder, IReadOnlyList<string> files, string service)
    {
        var workloads = files.Where(file => file.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || file.EndsWith(".yml", StringComparison.OrdinalIgnoreCase)).SelectMany(file => WorkloadsIn(folder, files, file)).ToList();
        var images = files.Where(IsDockerfile).Select(file => (File: file, Own: Own(file))).ToList();
        if (images.Count == 0) return [new(service, "", ["**"], null, ".", null, StarterTests.In(folder, files))];
        var found = new List<Found>();
        foreach (var (file, own) in images)
        {
            var nested = images.Select(other => other.Own).Where(other => other != own && (own.Length == 0 || other.StartsWith(own + "/", StringComparison.Ordinal))).Distinct().ToList();
            var name = Name(file, own, service);
            for (var number = 2; found.Any(other => other.Name == name); number++) name = own.Length > 0 && Slug(own) is { } longer && found.All(other => other.Name != longer) ? longer : $"{Name(file, own, service)}-{number}";
            var inside = files.Where(path => (own.Length == 0 || path.StartsWith(own + "/", StringComparison.Ordinal)) && !nested.Any(below => path.StartsWith(below + "/", StringComparison.Ordinal))).ToList();
            var workload = workloads.FirstOrDefault(one => one.Name == name) ?? workloads.FirstOrDefault(one => own.Length > 0 && one.File.StartsWith(own + "/", StringComparison.Ordinal))
                ?? (images.Count == 1 && workloads.Count == 1 ? workloads[0] : null);
            // A folder with several images has its tests once.
            var tests = found.Any(other => other.Folder == own) ? [] : StarterTests.In(folder, inside);
            found.Add(new(name, own, [own.Length == 0 ? "**" : own + "/**", .. nested.Select(below => $"!{below}/**")], file, own.Length == 0 ? "." : own, workload, tests));
        }
        return found;
    }

    private static bool IsDockerfile(string file) => Path.GetFileName(file) is var name && (name is "Dockerfile" or "Containerfile"
        || (name.StartsWith("Dockerfile.", StringComparison.Ordinal) || name.EndsWith(".Dockerfile", StringComparison.Ordinal)) && !name.EndsWith("ignore", StringComparison.Ordinal));

    // The component's folder: that of the Dockerfile, or the one above where that is only about building.
    private static string Own(string dockerfile)
    {
        var own = (Path.GetDirectoryName(dockerfile) ?? "").Replace('\\', '/');
        return nameless.Contains(Path.GetFileName(own)) ? (Path.GetDirectoryName(own) ?? "").Replace('\\', '/') : own;
    }

    private static string Name(string dockerfile, string own, string service)
    {
        var file = Path.GetFileName(dockerfile);
        var part = file.StartsWith("Dockerfile.", StringComparison.Ordinal) ? file["Dockerfile.".Length..] : file.EndsWith(".Dockerfile", StringComparison.Ordinal) ? file[..^".Dockerfile".Length] : "";
        return Slug(part) is { Length: > 0 } named ? named : own.Length > 0 && Slug(Path.GetFileName(own)) is { Length: > 0 } folder ? folder : service;
    }

    private static IEnumerable<Workload> WorkloadsIn(string folder, IReadOnlyList<string> files, string file)
    {
        var at = (Path.GetDirectoryName(file) ?? "").Replace('\\', '/');
        foreach (var document in File.ReadAllText(Path.Combine(folder, file)).ReplaceLineEndings("\n").Split("\n---"))
        {
            var kind = Kind().Match(document);
            var name = MetadataName().Match(document);
            var container = Container().Match(document);
            // A template's text is no manifest yet.
            if (!kind.Success || !name.Success || document.Contains("{{", StringComparison.Ordinal) || Slug(name.Groups[1].Value) != name.Groups[1].Value) continue;
            // What stands beside it belongs to it: services, config maps.
            var manifests = at.Length > 0 && files.Count(other => other.StartsWith(at + "/", StringComparison.Ordinal) && (other.EndsWith(".yaml", StringComparison.Ordinal) || other.EndsWith(".yml", StringComparison.Ordinal))) > 1 ? at : file;
            yield return new(kind.Groups[1].Value, name.Groups[1].Value, container.Success ? container.Groups[1].Value : name.Groups[1].Value, manifests, file);
        }
    }

    private static List<string> Files(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 6, AttributesToSkip = FileAttributes.Hidden | FileAttributes.ReparsePoint, IgnoreInaccessible = true })
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/')).Where(file => !file.Split('/').Any(part => part.StartsWith('.') || ignored.Contains(part))).Order(StringComparer.Ordinal)];

    private static string Scalar(string text) => Plain().IsMatch(text) ? text : "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    [GeneratedRegex(@"^kind:\s*(Deployment|StatefulSet|DaemonSet)\s*$", RegexOptions.Multiline)]
    private static partial Regex Kind();

    [GeneratedRegex(@"^metadata:(?:\n[ ]+.*)*?\n[ ]{1,4}name:\s*[""']?([\w.-]+)", RegexOptions.Multiline)]
    private static partial Regex MetadataName();

    [GeneratedRegex(@"^\s+containers:\s*\n(?:\s*-?.*\n)*?\s*-?\s*name:\s*[""']?([\w.-]+)", RegexOptions.Multiline)]
    private static partial Regex Container();

    [GeneratedRegex(@"[^a-z0-9-]+")]
    private static partial Regex NotSlug();

    // Words that YAML would read as something else are quoted too.
    [GeneratedRegex(@"^(?!(?:true|false|yes|no|on|off|null)$)[A-Za-z][\w./ =-]*(?<! )$", RegexOptions.IgnoreCase)]
    private static partial Regex Plain();
}
