using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary>What only shows when all sections have been read: names that refer to nothing, names twice, circles.</summary>
internal static class References
{
    public static void Check(
        MapReader file,
        IReadOnlyList<ComponentDefinition> components,
        NotificationsDefinition notifications,
        ValueReading reading)
    {
        reading.Unique(file.Items("components"), components, component => component.Name, "component");
        reading.Unique(file.Items("integration"), file.Items("integration").OfType<YamlMap>()
            .Select(map => map.Entries.FirstOrDefault(entry => entry.Key.Value == "name").Value as YamlText).OfType<YamlText>(),
            name => name.Value,
            "suite");
        var names = components.Select(component => component.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var part in file.Items("components").OfType<YamlMap>())
        {
            var what = ComponentReading.Named(part, "component");
            foreach (var owner in Texts(part, "owners").Concat(Items(part, "unit-tests")
                .SelectMany(test => Items(test, "quarantine"))
                .SelectMany(test => Text(test, "owner"))))
                if (!notifications.Owners.ContainsKey(owner.Value))
                    reading.Problems.Add(owner.Position,
                        $"owner \"{owner.Value}\" of {what} is not in " +
                        $"notifications.owners{ValueReading.Known(notifications.Owners.Keys)}");
            foreach (var dependency in Texts(part, "depends-on"))
                if (!names.Contains(dependency.Value))
                    reading.Problems.Add(dependency.Position,
                        $"component \"{dependency.Value}\", on which {what} depends, is not in " +
                        $"\"components\"{ValueReading.Known(names.Order(StringComparer.Ordinal))}");
        }
        Circles(file, components, reading);
    }

    private static void Circles(MapReader file, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        var byName = new Dictionary<string, ComponentDefinition>(StringComparer.Ordinal);
        foreach (var component in components) byName.TryAdd(component.Name, component);
        var done = new HashSet<string>(StringComparer.Ordinal);
        foreach (var component in components) Visit(component, []);

        void Visit(ComponentDefinition component, List<string> path)
        {
            var at = path.IndexOf(component.Name);
            if (at >= 0)
            {
                reading.Problems.Add(file.PlaceOf("components"),
                    $"components depend on each other in a circle: {string.Join(" → ", path.Skip(at).Append(component.Name))}");
                return;
            }
            if (!done.Add(component.Name)) return;
            path.Add(component.Name);
            foreach (var next in component.DependsOn)
                if (byName.TryGetValue(next, out var found)) Visit(found, path);
            path.RemoveAt(path.Count - 1);
        }
    }

    private static IEnumerable<YamlText> Texts(YamlMap map, string key) => List(map, key).OfType<YamlText>();

    private static IEnumerable<YamlMap> Items(YamlMap map, string key) => List(map, key).OfType<YamlMap>();

    private static IEnumerable<YamlText> Text(YamlMap map, string key) =>
        map.Entries.Where(entry => entry.Key.Value == key).Select(entry => entry.Value).OfType<YamlText>();

    private static IReadOnlyList<YamlPart> List(YamlMap map, string key) =>
        map.Entries.FirstOrDefault(entry => entry.Key.Value == key).Value is YamlList list ? list.Items : [];
}
