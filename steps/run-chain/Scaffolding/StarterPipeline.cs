using System.Text;
using System.Text.RegularExpressions;

namespace CiSteps.RunChain.Scaffolding;

/// <summary>A first ci-steps.yaml from what a repository holds: Dockerfiles, manifests, test projects. A person reads it before it is used.</summary>
internal static partial class StarterPipeline
{
    private static readonly string[] Ignored = ["node_modules", "bin", "obj", "vendor", "artifacts"];

    private sealed record Found(string Name, string Folder, string? Dockerfile, (string Kind, string Name, string Container, string File)? Workload, (string Name, string Command, string? Reports, string Format)? Tests);

    /// <summary>The file's text.</summary>
    /// <param name="folder">The work tree.</param>
    /// <param name="service">Name of a component that is the whole repository.</param>
    /// <param name="targetBranch">Where releases come from.</param>
    /// <param name="privateBranches">Pattern of private branches.</param>
    public static string For(string folder, string service, string targetBranch, string privateBranches)
    {
        var files = Files(folder);
        var workloads = files.Where(file => file.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || file.EndsWith(".yml", StringComparison.OrdinalIgnoreCase))
            .SelectMany(file => WorkloadsIn(folder, file)).ToList();
        var components = files.Where(file => Path.GetFileName(file) == "Dockerfile").Select(file => Component(folder, files, workloads, file, service)).ToList();
        if (components.Count == 0) components.Add(new(service, "", null, null, TestsIn(folder, files, "")));
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

    private static void Append(StringBuilder text, Found component)
    {
        text.Append($"  - name: {Scalar(component.Name)}\n    paths: [{Scalar(component.Folder.Length == 0 ? "**" : component.Folder + "/**")}]\n    owners: [team]\n    major: 1\n");
        if (component.Tests is { } tests)
        {
            text.Append($"    unit-tests:\n      - name: {tests.Name}\n        run: {Scalar(tests.Command)}\n");
            if (component.Folder.Length > 0) text.Append($"        folder: {Scalar(component.Folder)}\n");
            if (tests.Reports is { } reports) text.Append($"        reports: [{Scalar((component.Folder.Length > 0 ? component.Folder + "/" : "") + reports)}]\n");
            text.Append($"        format: {tests.Format}\n");
        }
        if (component.Dockerfile is { } dockerfile) text.Append($"    image:\n      dockerfile: {Scalar(dockerfile)}\n      context: {Scalar(component.Folder.Length == 0 ? "." : component.Folder)}\n");
        if (component.Workload is { } workload)
            text.Append($"    workload:\n      manifests: [{Scalar(workload.File)}]\n      kind: {workload.Kind}\n      name: {Scalar(workload.Name)}\n      container: {Scalar(workload.Container)}\n");
    }

    private static Found Component(string folder, IReadOnlyList<string> files, List<(string Kind, string Name, string Container, string File)> workloads, string dockerfile, string service)
    {
        var own = Path.GetDirectoryName(dockerfile)!.Replace('\\', '/');
        var name = own.Length == 0 ? service : Slug(Path.GetFileName(own));
        var workload = workloads.Where(found => found.Name == name || (own.Length > 0 && found.File.StartsWith(own + "/", StringComparison.Ordinal))).Select(found => ((string, string, string, string)?)found).FirstOrDefault();
        return new(name, own, dockerfile, workload, TestsIn(folder, files, own));
    }

    private static (string, string, string?, string)? TestsIn(string folder, IReadOnlyList<string> files, string own)
    {
        var inside = files.Where(file => own.Length == 0 || file.StartsWith(own + "/", StringComparison.Ordinal)).ToList();
        if (inside.Any(file => file.EndsWith("Tests.csproj", StringComparison.Ordinal) || file.EndsWith("Test.csproj", StringComparison.Ordinal)))
            return ("dotnet", "dotnet test --logger trx --results-directory test-results", "test-results/*.trx", "trx");
        if (inside.Any(file => Path.GetFileName(file) == "go.mod")) return ("go", "go test -json ./...", null, "go-json");
        if (inside.FirstOrDefault(file => Path.GetFileName(file) == "package.json") is { } package && File.ReadAllText(Path.Combine(folder, package)).Contains("\"test\"", StringComparison.Ordinal))
            return ("node", "node --test --test-reporter=junit --test-reporter-destination=test-results.xml", "test-results.xml", "junit");
        if (inside.Any(file => Path.GetFileName(file).StartsWith("test_", StringComparison.Ordinal) && file.EndsWith(".py", StringComparison.Ordinal)))
            return ("pytest", "pytest --junitxml=test-results.xml", "test-results.xml", "junit");
        return inside.Any(file => Path.GetFileName(file) == "pom.xml") ? ("maven", "mvn --batch-mode test", "**/target/surefire-reports/*.xml", "junit") : null;
    }

    private static IEnumerable<(string Kind, string Name, string Container, string File)> WorkloadsIn(string folder, string file)
    {
        foreach (var document in File.ReadAllText(Path.Combine(folder, file)).ReplaceLineEndings("\n").Split("\n---"))
        {
            var kind = Kind().Match(document);
            var name = Name().Match(document);
            var container = Container().Match(document);
            if (kind.Success && name.Success) yield return (kind.Groups[1].Value, name.Groups[1].Value, container.Success ? container.Groups[1].Value : name.Groups[1].Value, file);
        }
    }

    private static List<string> Files(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 6, AttributesToSkip = FileAttributes.Hidden | FileAttributes.ReparsePoint, IgnoreInaccessible = true })
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/')).Where(file => !file.Split('/').Any(part => part.StartsWith('.') || Ignored.Contains(part))).Order(StringComparer.Ordinal)];

    private static string Slug(string text) => NotSlug().Replace(text.ToLowerInvariant(), "-").Trim('-');

    private static string Scalar(string text) => Plain().IsMatch(text) ? text : "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    [GeneratedRegex(@"^kind:\s*(Deployment|StatefulSet|DaemonSet)\s*$", RegexOptions.Multiline)]
    private static partial Regex Kind();

    [GeneratedRegex(@"^metadata:(?:\n[ ]+.*)*?\n[ ]+name:\s*[""']?([\w.-]+)", RegexOptions.Multiline)]
    private static partial Regex Name();

    [GeneratedRegex(@"^\s+containers:\s*\n(?:\s*-?.*\n)*?\s*-?\s*name:\s*[""']?([\w.-]+)", RegexOptions.Multiline)]
    private static partial Regex Container();

    [GeneratedRegex(@"[^a-z0-9-]+")]
    private static partial Regex NotSlug();

    [GeneratedRegex(@"^[A-Za-z][\w./ =-]*$")]
    private static partial Regex Plain();
}
