using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline.Reading;

/// <summary><c>production:</c>.</summary>
internal static class ProductionReading
{
    public static ProductionDefinition? Read(MapReader file, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        if (file.Map("production", Section.Production, "\"production\"") is not { } map) return null;
        if (!map.Has("waves")) map.Missing("waves");
        var parts = map.Items("waves").ToList();
        var waves = parts.Select(part => Wave(part, components, reading)).OfType<WaveDefinition>().ToList();
        reading.Unique(parts, waves, wave => wave.Name, "wave");
        var targets = parts.OfType<YamlMap>().SelectMany(wave => wave.Entries.Where(entry => entry.Key.Value == "targets"))
            .SelectMany(entry => entry.Value is YamlList list ? list.Items : []).ToList();
        reading.Unique(targets, waves.SelectMany(wave => wave.Targets), target => target.Name, "production target");
        var freezes = map.Items("freezes").ToList();
        var frozen = freezes.Select(part => Freeze(part, reading)).OfType<FreezeDefinition>().ToList();
        reading.Unique(freezes, frozen, freeze => freeze.Name, "freeze");
        return new ProductionDefinition(waves) { Freezes = frozen };
    }

    private static WaveDefinition? Wave(YamlPart part, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        if (MapReader.Of(part, Section.Wave, ComponentReading.Named(part, "wave"), reading.Problems) is not { } map) return null;
        if (!map.Has("targets")) map.Missing("targets");
        return new WaveDefinition(
            map.Text("name"),
            [.. map.Items("targets").Select(target => Target(target, components, reading)).OfType<ProductionTarget>()],
            map.Duration("soak", TimeSpan.Zero));
    }

    private static FreezeDefinition? Freeze(YamlPart part, ValueReading reading)
    {
        if (MapReader.Of(part, Section.Freeze, ComponentReading.Named(part, "freeze"), reading.Problems) is not { } map)
            return null;
        var zone = map.OptionalText("zone") ?? "UTC";
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(zone, out var place))
        {
            map.Problem("zone",
                $"\"{zone}\" of {map.What} is not a time zone that this machine knows; write one such as Europe/Berlin");
            place = TimeZoneInfo.Utc;
        }
        var (from, until) = (Moment("from"), Moment("until"));
        if (until <= from && from != DateTimeOffset.MinValue)
            map.Problem("until", $"\"until\" of {map.What} is not after \"from\"");
        return new FreezeDefinition(map.Text("name"), from, until);

        DateTimeOffset Moment(string key)
        {
            var text = map.Text(key);
            if (DateTime.TryParseExact(
                text,
                "yyyy-MM-dd'T'HH:mm",
                System.Globalization.CultureInfo.InvariantCulture,
                System.Globalization.DateTimeStyles.None,
                out var local))
                return new DateTimeOffset(local, place.GetUtcOffset(local));
            if (map.Has(key)) map.Problem(key, $"\"{text}\" of {map.What} is not a time; write it like 2026-12-20T18:00");
            return DateTimeOffset.MinValue;
        }
    }

    private static ProductionTarget? Target(YamlPart part, IReadOnlyList<ComponentDefinition> components, ValueReading reading)
    {
        if (MapReader.Of(
            part, Section.Target, ComponentReading.Named(part, "production target"), reading.Problems) is not { } map)
            return null;
        var kubeconfig = map.Text("kubeconfig");
        if (map.Has("kubeconfig") && !ValueReading.IsVariable(kubeconfig))
            map.Problem("kubeconfig",
                $"\"{kubeconfig}\" of {map.What} is not a name of an environment variable; " +
                "write the variable that holds the kubeconfig's path");
        return new ProductionTarget(
            map.Text("name"),
            kubeconfig,
            ValueReading.Label(map, "namespace"),
            SuiteReading.Components(map, components, reading),
            Gate(map, reading))
        {
            Settle = map.Duration("settle", ProductionTarget.DefaultSettle),
        };
    }

    private static GateDefinition? Gate(MapReader target, ValueReading reading)
    {
        if (target.Map("gate", Section.Gate) is not { } map) return null;
        var http = map.Text("http");
        if (map.Has("http")
            && !(Uri.TryCreate(http, UriKind.Absolute, out var url)
                && url.Scheme is "http" or "https" or "service"
                && url.Host.Length > 0))
            map.Problem("http", $"\"{http}\" of {map.What} is not a URL; write http(s)://… or service://name:port/path");
        return new GateDefinition(
            http, map.Duration("for", TimeSpan.FromSeconds(10)), map.Duration("time-limit", TimeSpan.FromMinutes(2)))
        {
            Status = map.Has("status") ? map.Number("status", 200, 100, 599) : null,
            Headers = reading.Variables(map, "headers"),
        };
    }
}
