using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Cli.Scaffolding;

/// <summary>A test run for a first ci-steps.yaml.</summary>
/// <param name="Name">Name of the run in <c>unit-tests:</c>.</param>
/// <param name="Folder">Where the command runs, relative to the repository; empty for its root.</param>
/// <param name="Command">What runs; null when a person has to choose it.</param>
/// <param name="Reports">Report files below the folder; null when the output is the report.</param>
/// <param name="Format">Their format.</param>
/// <param name="Hint">What a person has to do.</param>
internal sealed record StarterTest(string Name, string Folder, string? Command, string? Reports, string Format, string Hint = "");

/// <summary>
/// Finds the test projects of a component, by the files that each ecosystem keeps them in. What gives no report by itself becomes
/// a hint.
/// </summary>
internal static class StarterTests
{
    /// <summary>All that are found.</summary>
    /// <param name="folder">Root of the work tree.</param>
    /// <param name="files">The component's files, relative to it.</param>
    public static IReadOnlyList<StarterTest> In(string folder, IReadOnlyList<string> files)
    {
        var found = new List<StarterTest>();
        foreach (var project in files.Where(
            file => file.EndsWith(".csproj", StringComparison.Ordinal) || file.EndsWith(".fsproj", StringComparison.Ordinal)))
        {
            var (at, name) = (FolderOf(project), Path.GetFileNameWithoutExtension(project));
            if (File.ReadAllText(Path.Combine(folder, project)).Contains("Microsoft.NET.Test.Sdk", StringComparison.Ordinal)
                || name.EndsWith("Tests", StringComparison.Ordinal))
                found.Add(new(
                    StarterPipeline.Slug(name),
                    at,
                    $"dotnet test {Path.GetFileName(project)} --logger trx --results-directory test-results",
                    "test-results/*.trx",
                    "trx"));
        }
        foreach (var module in Manifests(files, "go.mod")) found.Add(new("go", module, "go test -json ./...", null, "go-json"));
        foreach (var package in Manifests(files, "package.json"))
            if (Node(folder, files, package) is { } tests) found.Add(tests);
        if (Python(files) is { } python)
            found.Add(new("pytest", python, "pytest --junitxml=test-results.xml", "test-results.xml", "junit"));
        foreach (var maven in Manifests(files, "pom.xml"))
            found.Add(new(
                "maven",
                maven,
                Wrapper(files, maven, "mvnw", "mvn") + " --batch-mode test",
                "**/target/surefire-reports/*.xml",
                "junit"));
        foreach (var gradle in Manifests(files, "build.gradle", "build.gradle.kts"))
            found.Add(new(
                "gradle",
                gradle,
                Wrapper(files, gradle, "gradlew", "gradle") + " test",
                "**/build/test-results/test/*.xml",
                "junit"));
        foreach (var crate in Manifests(files, "Cargo.toml"))
            found.Add(new("cargo", crate, null, null, "junit",
                "cargo test writes no report; cargo nextest run with a JUnit profile does"));
        // Names tell test runs apart.
        return [.. found.Select(
            (test, at) => found.Take(at).Any(other => other.Name == test.Name)
                ? test with { Name = StarterPipeline.Slug($"{test.Name}-{test.Folder}") }
                : test)];
    }

    // Where a manifest stands; one inside another's folder is that one's part.
    private static IEnumerable<string> Manifests(IReadOnlyList<string> files, params string[] names)
    {
        var folders = files.Where(file => names.Contains(Path.GetFileName(file)))
            .Select(FolderOf)
            .Distinct()
            .OrderBy(at => at.Length)
            .ToList();
        return folders.Where(
            (at, number) => !folders
                .Take(number)
                .Any(above => above.Length == 0 || at.StartsWith(above + "/", StringComparison.Ordinal)));
    }

    private static StarterTest? Node(string folder, IReadOnlyList<string> files, string at)
    {
        JsonObject package;
        try
        {
            package = OutsideJson.ReadObjectFile(Path.Combine(folder, at, "package.json"),
                JsonLimits.Standard with { AllowsDuplicates = true });
        }
        catch (OutsideJsonException)
        {
            return null;
        }
        if ((package["scripts"] as JsonObject)?["test"] is not JsonValue script
            || script.ToString() is not { Length: > 0 } test
            || test.Contains("no test specified", StringComparison.Ordinal))
            return null;
        var install = files.Contains(Join(at, "package-lock.json")) ? "npm ci && " : "";
        bool Has(string name) => IsIn("devDependencies", name) || IsIn("dependencies", name);
        bool IsIn(string of, string name) => (package[of] as JsonObject)?[name] is not null;
        const string Junit = "test-results.xml";
        if (test.Contains("node --test", StringComparison.Ordinal))
            return new(
                "node", at, $"{install}node --test --test-reporter=junit --test-reporter-destination={Junit}", Junit, "junit");
        if (test.Contains("vitest", StringComparison.Ordinal))
            return new("vitest", at, $"{install}npx vitest run --reporter=junit --outputFile={Junit}", Junit, "junit");
        if (test.Contains("mocha", StringComparison.Ordinal))
            return new("mocha", at, $"{install}npx mocha --reporter xunit --reporter-option output={Junit}", Junit, "junit");
        return Has("jest-junit") ? new("jest", at, $"{install}npx jest --ci --reporters=jest-junit", "junit.xml", "junit")
            : new(
                "npm",
                at,
                null,
                null,
                "junit",
                test.Contains("jest", StringComparison.Ordinal)
                    ? "jest writes a report with the reporter jest-junit"
                    : $"give a command that writes a report, in place of \"{test.ReplaceLineEndings(" ")}\"");
    }

    private static string? Python(IReadOnlyList<string> files)
    {
        var tests = files
            .Where(
                file => file.EndsWith(".py", StringComparison.Ordinal)
                    && (Path.GetFileName(file).StartsWith("test_", StringComparison.Ordinal)
                        || file.EndsWith("_test.py", StringComparison.Ordinal)))
            .ToList();
        if (tests.Count == 0) return null;
        // pytest imports from where its project stands, or from the folder that holds the tests' own.
        string[] projects = ["pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "requirements.txt"];
        var project = files.Where(file => projects.Contains(Path.GetFileName(file)))
            .Select(FolderOf)
            .OrderBy(at => at.Length)
            .FirstOrDefault(at => at.Length == 0 || tests[0].StartsWith(at + "/", StringComparison.Ordinal));
        return project ?? FolderOf(FolderOf(tests[0]));
    }

    private static string Wrapper(IReadOnlyList<string> files, string at, string wrapper, string program) =>
        files.Contains(Join(at, wrapper)) ? "./" + wrapper : program;

    private static string Join(string folder, string name) => folder.Length == 0 ? name : $"{folder}/{name}";

    private static string FolderOf(string file) => (Path.GetDirectoryName(file) ?? "").Replace('\\', '/');
}
