using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CiSteps.Hosting.Json;

namespace CiSteps.TestReports.Lines;

/// <summary>The events of <c>go test -json</c>. Older versions tell of a package that does not build in plain lines.</summary>
internal sealed partial class GoTestReader(string source, string root) : ILineReader
{
    private readonly CaseList cases = new(root);
    private readonly Dictionary<string, Package> packages = new(StringComparer.Ordinal);
    private readonly Dictionary<string, StringBuilder> builds = new(StringComparer.Ordinal);
    private readonly StringBuilder plain = new();
    private int events;

    public string? Running
    {
        get
        {
            var running = packages.Values.Where(package => !package.Ended)
                .SelectMany(
                    package => package.Tests.Values
                        .Where(test => !test.Ended && !test.HasChildren)
                        .Select(test => package.Name + "." + test.Name))
                    .Take(4)
                    .ToList();
            return running.Count == 0 ? null : string.Join(", ", running);
        }
    }

    public string? Ended => cases.Count > 0 ? cases[^1].FullName : null;

    public void Add(string line)
    {
        if (!line.AsSpan().TrimStart().StartsWith('{'))
        {
            Plainly(line);
            return;
        }
        string? action, packageName, testName, output, import, failedBuild;
        double elapsed;
        try
        {
            using var json = OutsideJson.ReadDocument(line, source);
            var root = json.RootElement;
            action = Text(root, "Action");
            packageName = Text(root, "Package");
            testName = Text(root, "Test");
            output = Text(root, "Output");
            import = Text(root, "ImportPath");
            failedBuild = Text(root, "FailedBuild");
            elapsed = root.TryGetProperty("Elapsed", out var number) && number.ValueKind == JsonValueKind.Number
                ? number.GetDouble()
                : -1;
        }
        catch (OutsideJsonException)
        {
            return;
        }
        if (action is null) return;
        if (import is not null && action == "build-output")
        {
            events++;
            if (!builds.TryGetValue(import, out var build)) builds[import] = build = new StringBuilder();
            Append(build, output);
            return;
        }
        if (packageName is null) return;
        events++;
        if (!packages.TryGetValue(packageName, out var package)) packages[packageName] = package = new Package(packageName);
        // A package begins anew where a runner runs its failed tests again.
        if (package.Ended && (action is "start" or "run")) (package.Ended, package.HasFailure) = (false, false);
        if (testName is null) OfPackage(package, action, output, failedBuild);
        else OfTest(package, testName, action, output, elapsed);
    }

    public TestReport? Finish()
    {
        if (events == 0) return null;
        ReportFault? fault = null;
        foreach (var package in packages.Values.Where(package => !package.Ended))
        {
            var running = package.Tests.Values.Where(test => !test.Ended && !test.HasChildren).Select(test => test.Name).ToList();
            Unfinished(package);
            fault ??= new(ReportFaultKind.Truncated, $"\"{source}\" ends before the package \"{package.Name}\" does" +
                (running.Count == 0 ? "" : $", while {string.Join(", ", running)} ran"));
        }
        return new TestReport(source, ReportFormat.GoJson, cases, fault);
    }

    /// <summary>What an event prints; null when it prints nothing. The line itself when it is not an event.</summary>
    public static string? OutputOf(string line)
    {
        try
        {
            using var json = OutsideJson.ReadDocument(line, "");
            return Text(json.RootElement, "Action") is null ? line : Text(json.RootElement, "Output")?.TrimEnd('\n');
        }
        catch (OutsideJsonException)
        {
            return line;
        }
    }

    private void Plainly(string line)
    {
        if (NotBuilt().Match(line) is not { Success: true } match)
        {
            Append(plain, line + "\n");
            return;
        }
        events++;
        var package = match.Groups[1].Value;
        if (packages.TryGetValue(package, out var known) && known.HasFailure) return;
        cases.Add(new TestCase([package], package, "(package)", TestOutcome.Error)
        {
            Message = "does not build",
            Details = plain.Length == 0 ? null : plain.ToString().TrimEnd('\n'),
        });
        plain.Clear();
    }

    [GeneratedRegex(@"^FAIL\t(\S+) \[(?:build|setup) failed\]")]
    private static partial Regex NotBuilt();

    private void OfTest(Package package, string name, string action, string? output, double elapsed)
    {
        if (!package.Tests.TryGetValue(name, out var test) || (test.Ended && action == "run"))
        {
            // With -count=2 the same name runs again.
            package.Tests[name] = test = new Test(name);
            for (var slash = name.LastIndexOf('/'); slash > 0; slash = name.LastIndexOf('/', slash - 1))
                if (package.Tests.TryGetValue(name[..slash], out var parent)) parent.HasChildren = true;
        }
        switch (action)
        {
            case "output":
                Append(test.Output, output);
                break;
            case "pass" or "fail" or "skip" or "bench":
                test.Ended = true;
                End(package, test, action, elapsed);
                break;
        }
    }

    private void End(Package package, Test test, string action, double elapsed)
    {
        if (action == "fail")
            for (var slash = test.Name.LastIndexOf('/'); slash > 0; slash = test.Name.LastIndexOf('/', slash - 1))
                if (package.Tests.TryGetValue(test.Name[..slash], out var parent)) parent.ChildFailed = true;
        // A test with subtests is their sum; it counts by itself only when it failed without any of them.
        var isSum = test.HasChildren && (action != "fail" || test.ChildFailed);
        if (action == "fail") package.HasFailure = true;
        if (isSum) return;
        var text = Plain(test.Output.ToString());
        var lines = text?.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0).ToList() ?? [];
        cases.Add(new TestCase([package.Name], package.Name, test.Name,
            action switch { "fail" => TestOutcome.Failed, "skip" => TestOutcome.Skipped, _ => TestOutcome.Passed })
        {
            Duration = elapsed >= 0 ? TimeSpan.FromSeconds(elapsed) : null,
            Message = action == "fail" ? Panic(lines) ?? lines.FirstOrDefault() ?? "failed without a message" : null,
            Details = action == "fail" ? text : null,
            SkipReason = action == "skip" ? lines.LastOrDefault() : null,
            Output = action is "pass" or "bench" ? text : null,
        });
        test.Output.Clear();
    }

    private void OfPackage(Package package, string action, string? output, string? failedBuild)
    {
        switch (action)
        {
            case "output":
                Append(package.Output, output);
                break;
            case "pass" or "skip":
                package.Ended = true;
                Unfinished(package);
                break;
            case "fail":
                package.Ended = true;
                Unfinished(package);
                if (package.HasFailure) break;
                var build = failedBuild is not null && builds.TryGetValue(failedBuild, out var found) ? found.ToString() : null;
                var text = Xml.ReportXml.Join(build, Plain(package.Output.ToString()));
                var lines = text?.Split('\n')
                    .Select(line => line.Trim())
                    .Where(line => line.Length > 0 && line[0] != '#')
                    .ToList()
                    ?? [];
                cases.Add(new TestCase([package.Name], package.Name, "(package)", TestOutcome.Error)
                {
                    Message = failedBuild is not null
                        || text?.Contains("[build failed]", StringComparison.Ordinal) == true
                        || text?.Contains("[setup failed]", StringComparison.Ordinal) == true
                        ? "does not build" + (build is not null && lines.Count > 0 ? ": " + lines[0] : "")
                        : Panic(lines) ?? lines.FirstOrDefault() ?? "the package failed without a failed test",
                    Details = text,
                });
                break;
        }
    }

    // The process died under them: a panic, os.Exit, a time limit.
    private void Unfinished(Package package)
    {
        foreach (var test in package.Tests.Values.Where(test => !test.Ended).ToList())
        {
            test.Ended = true;
            if (test.HasChildren) continue;
            package.HasFailure = true;
            var text = Xml.ReportXml.Join(Plain(test.Output.ToString()), Plain(package.Output.ToString()));
            var lines = text?.Split('\n').Select(line => line.Trim()).ToList() ?? [];
            cases.Add(new TestCase([package.Name], package.Name, test.Name, TestOutcome.Error)
            {
                Message = Panic(lines) ?? "did not end: its process ended first",
                Details = text,
            });
        }
    }

    private static string? Panic(List<string> lines) => lines.Find(line => line.StartsWith("panic: ", StringComparison.Ordinal));

    private static void Append(StringBuilder text, string? output)
    {
        if (output is not null && text.Length < Xml.ReportXml.LongestText) text.Append(output);
    }

    private static string? Plain(string output)
    {
        var lines = output.Split('\n').Where(line =>
        {
            var trimmed = line.AsSpan().TrimStart();
            return !trimmed.StartsWith("=== ")
                && !trimmed.StartsWith("--- PASS")
                && !trimmed.StartsWith("--- FAIL")
                && !trimmed.StartsWith("--- SKIP");
        });
        var text = string.Join('\n', lines).Trim('\n');
        return string.IsNullOrWhiteSpace(text) ? null : text;
    }

    private static string? Text(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object
            && root.TryGetProperty(name, out var value)
            && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    private sealed class Package(string name)
    {
        public string Name => name;

        public Dictionary<string, Test> Tests { get; } = new(StringComparer.Ordinal);

        public StringBuilder Output { get; } = new();

        public bool Ended { get; set; }

        public bool HasFailure { get; set; }
    }

    private sealed class Test(string name)
    {
        public string Name => name;

        public StringBuilder Output { get; } = new();

        public bool Ended { get; set; }

        public bool HasChildren { get; set; }

        public bool ChildFailed { get; set; }
    }
}
