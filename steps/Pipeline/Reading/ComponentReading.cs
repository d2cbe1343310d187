using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>Entries of <c>components:</c>.</summary>
internal static class ComponentReading
{
    public static IReadOnlyList<string> Formats { get; } =
        ["auto", "junit", "trx", "nunit", "xunit", "testng", "boost", "ctest", "qttest", "cppunit", "tap", "go-json", "ctrf", "jest", "mocha"];

    public static ComponentDefinition? Read(YamlPart part, ValueReading reading)
    {
        if (MapReader.Of(part, Section.Component, Named(part, "component"), reading.Problems) is not { } map) return null;
        var name = ValueReading.Label(map, "name");
        if (!map.Has("paths")) map.Missing("paths");
        var paths = ValueReading.Globs(map, "paths");
        if (map.Has("paths") && paths.Count == 0) map.Problem("paths", $"\"paths\" of {map.What} is empty; without paths nothing ever changes it");
        var tests = new List<TestRunDefinition>();
        foreach (var test in map.Items("unit-tests"))
            if (TestRun(test, name, reading) is { } run) tests.Add(run);
        reading.Unique(map.Items("unit-tests"), tests, run => run.Name, "test run");
        var preBuild = map.Map("pre-build", Section.Command, $"\"pre-build\" of component \"{name}\"");
        var image = map.Map("image", Section.Image, $"\"image\" of component \"{name}\"");
        return new ComponentDefinition(name, paths, map.Texts("owners"), map.Number("major", 1, 0, 999_999), map.Texts("depends-on"), tests,
            preBuild is null ? null : reading.Command(preBuild),
            image is null ? null : Image(image, reading),
            Workload(map, name, reading));
    }

    /// <summary><c>workload:</c> of a component or a dependent.</summary>
    public static WorkloadDefinition? Workload(MapReader owner, string name, ValueReading reading)
    {
        if (owner.Map("workload", Section.Workload, $"\"workload\" of {owner.What}") is not { } map) return null;
        if (!map.Has("manifests")) map.Missing("manifests");
        var manifests = reading.RelativePaths(map, "manifests");
        if (map.Has("manifests") && manifests.Count == 0) map.Problem("manifests", $"\"manifests\" of {map.What} is empty");
        var workload = ValueReading.Label(map, "name", name);
        return new WorkloadDefinition(manifests, map.OneOf("kind", "Deployment", "Deployment", "StatefulSet", "DaemonSet"),
            workload, ValueReading.Label(map, "container", workload), map.Duration("time-limit", TimeSpan.FromMinutes(5)));
    }

    /// <summary>"component "x"", as far as the name can be read.</summary>
    public static string Named(YamlPart part, string kind) =>
        part is YamlMap map && map.Entries.FirstOrDefault(entry => entry.Key.Value == "name").Value is YamlText { IsNothing: false } name
            ? $"{kind} \"{name.Value}\"" : $"a {kind}";

    private static TestRunDefinition? TestRun(YamlPart part, string component, ValueReading reading)
    {
        var what = $"{Named(part, "test run")} of component \"{component}\"";
        if (MapReader.Of(part, Section.TestRun, what, reading.Problems) is not { } map) return null;
        var quarantine = new List<QuarantinedTest>();
        foreach (var entry in map.Items("quarantine"))
            if (MapReader.Of(entry, Section.Quarantined, $"a quarantined test of component \"{component}\"", reading.Problems) is { } test)
                quarantine.Add(new QuarantinedTest(test.Text("test"), test.Text("owner"), ValueReading.Date(test, "until")));
        return new TestRunDefinition(map.Text("name", "unit"), reading.Command(map), ValueReading.Globs(map, "reports"),
            map.OneOf("format", "auto", Formats),
            map.Duration("time-limit", TimeSpan.FromMinutes(30)), map.Duration("silence-limit", TimeSpan.FromMinutes(10)),
            Retry(map), quarantine);
    }

    private static RetryDefinition? Retry(MapReader owner)
    {
        if (owner.Map("retry", Section.Retry) is not { } map) return null;
        var framework = map.Has("framework") ? map.OneOf("framework", null, RetryDefinition.Frameworks) : null;
        var filter = map.Texts("filter");
        if (framework is null && filter.Count == 0) map.Missing("framework");
        if (filter.Count > 0 && !filter.Any(argument => argument.Contains("{tests}", StringComparison.Ordinal)))
            map.Problem("filter", $"\"filter\" of {map.What} needs {{tests}} in one of its arguments; it stands for the failed tests");
        return new RetryDefinition(map.Number("attempts", 2, 2, 10), map.Number("most-tests", 10, 1, 100_000), framework, filter);
    }

    private static ImageDefinition Image(MapReader map, ValueReading reading)
    {
        var context = ValueReading.RelativePath(map, "context", ".");
        var platform = map.OptionalText("platform");
        if (platform is not null && platform.Split('/') is not ([{ Length: > 0 }, { Length: > 0 }] or [{ Length: > 0 }, { Length: > 0 }, { Length: > 0 }]))
            map.Problem("platform", $"\"{platform}\" is no platform; write it like linux/amd64");
        return new ImageDefinition(ValueReading.RelativePath(map, "dockerfile", context == "." ? "Dockerfile" : context + "/Dockerfile"), context,
            map.OptionalText("target"), reading.Variables(map, "args"), platform, map.OneOf("builder", "engine", "engine", "buildx"));
    }
}
