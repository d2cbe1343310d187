using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>Entries of <c>integration:</c>.</summary>
internal static class SuiteReading
{
    public static SuiteDefinition? Read(YamlPart part, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        if (MapReader.Of(part, Section.Suite, ComponentReading.Named(part, "suite"), reading.Problems) is not { } map)
            return null;
        var name = ValueReading.Label(map, "name");
        var under = Components(map, components, reading);
        var dependents = new List<DependentDefinition>();
        foreach (var entry in map.Items("dependents"))
            if (Dependent(entry, name, under, components, reading) is { } dependent) dependents.Add(dependent);
        reading.Unique(map.Items("dependents"), dependents, dependent => dependent.Name, "dependent");
        return new SuiteDefinition(name, under, ValueReading.Label(map, "class"), ValueReading.Label(map, "namespace", name),
            reading.RelativePaths(map, "manifests"),
            dependents,
            Tests(map, reading),
            map.Duration("time-limit", TimeSpan.FromMinutes(15)));
    }

    /// <summary>The components that a suite or target names; all with a workload when it names none.</summary>
    public static IReadOnlyList<string> Components(
        MapReader map, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        var named = map.TextParts("components");
        if (map.Has("components") && named.Count == 0)
            map.Problem("components",
                $"\"components\" of {map.What} is empty: name some, or leave it away for all with a workload");
        foreach (var name in named)
        {
            var found = components.FirstOrDefault(component => component.Name == name.Value);
            if (found is null)
                reading.Problems.Add(name.Position,
                    $"component \"{name.Value}\" of {map.What} is not in " +
                    $"\"components\"{ValueReading.Known(components.Select(component => component.Name))}");
            else if (found.Workload is null)
                reading.Problems.Add(name.Position,
                    $"component \"{name.Value}\" of {map.What} has no \"workload\" that could be rolled out");
        }
        return map.Has("components")
            ? [.. named.Select(name => name.Value)]
            : [.. components.Where(component => component.Workload is not null).Select(component => component.Name)];
    }

    private static DependentDefinition? Dependent(
        YamlPart part,
        string suite,
        IReadOnlyList<string> under,
        IReadOnlyList<ComponentDefinition> components,
        ValueReading reading)
    {
        if (MapReader.Of(
            part,
            Section.Dependent,
            $"{ComponentReading.Named(part, "dependent")} of suite \"{suite}\"",
            reading.Problems) is not { } map)
            return null;
        var name = ValueReading.Label(map, "name");
        var image = reading.Image(map, "image");
        if (image is null) map.Missing("image");
        else if (image.Contains('@') || image.LastIndexOf(':') > image.LastIndexOf('/'))
            map.Problem("image",
                $"\"{image}\" of {map.What} has a tag or digest; write the repository alone, the production tag is looked up");
        // The current version is the major of what is under test, where that is one.
        var majors = components.Where(component => under.Contains(component.Name))
            .Select(component => component.Major)
            .Distinct()
            .ToList();
        if (!map.Has("major") && majors.Count > 1) map.Missing("major");
        if (!map.Has("workload")) map.Missing("workload");
        return new DependentDefinition(
            name,
            image ?? "",
            map.Number("major", majors.FirstOrDefault(1), 0, 999_999),
            reading.Image(map, "bootstrap"),
            ComponentReading.Workload(map, name, reading)
                ?? new WorkloadDefinition([], "Deployment", name, name, TimeSpan.FromMinutes(5)));
    }

    private static SuiteTestsDefinition Tests(MapReader suite, ValueReading reading)
    {
        if (!suite.Has("tests")) suite.Missing("tests");
        if (suite.Map("tests", Section.SuiteTests) is not { } map) return new SuiteTestsDefinition(null, null, [], "auto");
        var hasJob = map.Has("job");
        if (hasJob && map.Has("run")) map.Problem("run", $"{map.What} has both \"job\" and \"run\"; keep one");
        if (!hasJob && !map.Has("run")) map.Problem("job", $"{map.What} needs \"job\" (a manifest) or \"run\" (a command)");
        if (hasJob)
            foreach (var key in new[] { "image", "folder", "env", "reports" })
                if (map.Has(key)) map.Problem(key, $"\"{key}\" of {map.What} belongs to \"run\"; a job says it in its manifest");
        return new SuiteTestsDefinition(
            hasJob ? ValueReading.RelativePath(map, "job") : null,
            hasJob || !map.Has("run") ? null : reading.Command(map),
            ValueReading.Globs(map, "reports"), map.OneOf("format", "auto", ComponentReading.Formats));
    }
}
