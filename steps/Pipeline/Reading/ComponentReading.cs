using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>Entries of <c>components:</c>.</summary>
internal static class ComponentReading
{
    public static IReadOnlyList<string> Formats { get; } =
        [
            "auto", "junit", "trx", "nunit", "xunit", "testng", "boost", "ctest", "qttest", "cppunit", "tap", "go-json", "ctrf",
            "jest", "mocha"
        ];

    public static ComponentDefinition? Read(YamlPart part, ValueReading reading)
    {
        if (MapReader.Of(part, Section.Component, Named(part, "component"), reading.Problems) is not { } map) return null;
        var name = ValueReading.Label(map, "name");
        if (!map.Has("paths")) map.Missing("paths");
        var paths = ValueReading.Globs(map, "paths");
        if (map.Has("paths") && paths.Count == 0)
            map.Problem("paths", $"\"paths\" of {map.What} is empty; without paths nothing ever changes it");
        var tests = new List<TestRunDefinition>();
        foreach (var test in map.Items("unit-tests"))
            if (TestRun(test, name, reading) is { } run) tests.Add(run);
        reading.Unique(map.Items("unit-tests"), tests, run => run.Name, "test run");
        var preBuild = map.Map("pre-build", Section.Command, $"\"pre-build\" of component \"{name}\"");
        var image = map.Map("image", Section.Image, $"\"image\" of component \"{name}\"");
        return new ComponentDefinition(
            name,
            paths,
            map.Texts("owners"),
            map.Number("major", 1, 0, 999_999),
            map.Texts("depends-on"),
            tests,
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
        part is YamlMap map
            && map.Entries.FirstOrDefault(entry => entry.Key.Value == "name").Value is YamlText { IsNothing: false } name
            ? $"{kind} \"{name.Value}\"" : $"a {kind}";

    private static TestRunDefinition? TestRun(YamlPart part, string component, ValueReading reading)
    {
        var what = $"{Named(part, "test run")} of component \"{component}\"";
        if (MapReader.Of(part, Section.TestRun, what, reading.Problems) is not { } map) return null;
        var quarantine = new List<QuarantinedTest>();
        foreach (var entry in map.Items("quarantine"))
            if (MapReader.Of(
                entry, Section.Quarantined, $"a quarantined test of component \"{component}\"", reading.Problems) is { } test)
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
            map.Problem("filter",
                $"\"filter\" of {map.What} needs {{tests}} in one of its arguments; it stands for the failed tests");
        return new RetryDefinition(map.Number("attempts", 2, 2, 10), map.Number("most-tests", 10, 1, 100_000), framework, filter);
    }

    private static ImageDefinition Image(MapReader map, ValueReading reading)
    {
        var context = ValueReading.RelativePath(map, "context", ".");
        return new ImageDefinition(
            ValueReading.RelativePath(map, "dockerfile", context == "." ? "Dockerfile" : context + "/Dockerfile"),
            context,
            map.OptionalText("target"),
            Arguments(map, reading),
            Platform(map),
            map.OneOf(
                "builder",
                ImageDefinition.AutoBuilder,
                ImageDefinition.AutoBuilder,
                ImageDefinition.EngineBuilder,
                ImageDefinition.BuildxBuilder))
        {
            Secrets = Secrets(map, reading.Problems),
            Ssh = Ssh(map),
        };
    }

    private static IReadOnlyDictionary<string, string> Arguments(MapReader map, ValueReading reading)
    {
        foreach (var (name, _) in map.Pairs("args"))
        {
            if (name.Value.Any(letter => char.IsWhiteSpace(letter) || char.IsControl(letter)))
                reading.Problems.Add(name.Position,
                    $"\"{name.Value}\" in \"args\" of {map.What} is not the name of a build argument: it has blanks in it");
            // Builders take it as the front end, and nothing that reads the Dockerfile would know of it.
            if (name.Value == "BUILDKIT_SYNTAX")
                reading.Problems.Add(
                    name.Position,
                    $"\"{name.Value}\" in \"args\" of {map.What} names a front end: write \"# syntax=\" in the "
                        + "first line of the Dockerfile instead, where the provenance has it from");
        }
        return reading.Variables(map, "args");
    }

    private static string? Platform(MapReader map)
    {
        const string one = "an image is built for one platform: write one, or make a component for each";
        if (map.Find("platform") is YamlList)
        {
            map.Problem("platform", $"\"platform\" of {map.What} is a list; {one}");
            return null;
        }
        var platform = map.OptionalText("platform");
        if (platform is null) return null;
        var parts = platform.Split('/');
        if (platform.Contains(',', StringComparison.Ordinal))
            map.Problem("platform", $"\"{platform}\" of {map.What} names several platforms; {one}");
        else if (parts.Length is not (2 or 3) || parts.Any(part => part.Length == 0))
            map.Problem("platform", $"\"{platform}\" is not a platform; write it like linux/amd64");
        return platform;
    }

    private static List<BuildSecretDefinition> Secrets(MapReader map, Problems problems)
    {
        var secrets = new List<BuildSecretDefinition>();
        foreach (var (id, part) in map.Entries("secrets"))
        {
            var what = $"secret \"{id.Value}\" of {map.What}";
            if (MapReader.Of(part, Section.BuildSecret, what, problems) is not { } secret) continue;
            var (variable, file) = (secret.OptionalText("env"), secret.OptionalText("file"));
            if (id.Value.Length == 0 || !id.Value.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.'))
                problems.Add(id.Position, $"\"{id.Value}\" is not a secret's id: letters, digits, \".\", \"_\" and \"-\"");
            if ((variable is null) == (file is null))
                problems.Add(part.Position, $"{what} needs either \"env\", a variable's name, or \"file\", a path");
            if (variable is not null && !ValueReading.IsVariable(variable))
                secret.Problem("env", $"\"{variable}\" of {what} is not a variable's name");
            // What the chain itself works with is not the change's to read.
            else if (variable?.StartsWith("CISTEPS_", StringComparison.Ordinal) is true)
                secret.Problem("env",
                    $"\"{variable}\" of {what} belongs to the chain itself and is not handed to builds; " +
                    "give the build a variable of its own");
            if (file is not null && (file.Length == 0 || file.IndexOfAny([',', '"', '\n']) >= 0))
                secret.Problem("file",
                    $"\"{file}\" of {what} is not a path that can be handed over: it is empty, or has a comma or a quote in it");
            secrets.Add(new BuildSecretDefinition(id.Value, variable, file));
        }
        return secrets;
    }

    // "true", or the list with docker's own name for the user's agent.
    private static bool Ssh(MapReader map)
    {
        if (map.Find("ssh") is not YamlList) return map.Switch("ssh");
        var names = map.Texts("ssh");
        if (names is not ["default"])
            map.Problem("ssh", $"\"ssh\" of {map.What} is true, or [default]: the keys of this user's ssh agent");
        return true;
    }
}
