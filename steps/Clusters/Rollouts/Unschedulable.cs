using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;
using static CiSteps.Clusters.Reading;

namespace CiSteps.Clusters;

/// <summary>Whether a pod can ever find a node: more than any node has, or a selector that none satisfies.</summary>
internal static class Unschedulable
{
    /// <summary>Why no node can meet the pod; null when one could, or when nodes are unknown.</summary>
    public static string? ForEver(JsonObject spec, IReadOnlyList<JsonObject> nodes)
    {
        if (nodes.Count == 0) return null;
        if (spec["nodeSelector"] is JsonObject { Count: > 0 } selector
            && !nodes.Any(node => Selects(selector, node.Map("metadata", "labels"))))
            return $"no node has the labels {string.Join(", ", selector.Select(pair => $"{pair.Key}={Text(pair.Value)}"))}";
        foreach (var resource in (string[])["cpu", "memory"])
        {
            var asked = Asked(spec, resource);
            if (asked <= 0) continue;
            var most = nodes.Max(node => Quantity(Raw(node.Member("status", "allocatable", resource)) ?? ""));
            if (most > 0 && asked > most)
                return $"it asks for {Show(resource, asked)} {resource} and the biggest node has {Show(resource, most)}";
        }
        return null;
    }

    private static double Asked(JsonObject spec, string resource)
    {
        var together = Items(spec["containers"]).Sum(container => Request(container, resource));
        return Math.Max(
            together, Items(spec["initContainers"]).Select(container => Request(container, resource)).DefaultIfEmpty().Max());
    }

    private static double Request(JsonObject container, string resource) =>
        Quantity(Raw(container.Member("resources", "requests", resource)) ?? "");

    // A quantity may be written as a number.
    private static string? Raw(JsonNode? node) => node?.ToString();

    /// <summary>A Kubernetes quantity as a number; 0 when it is none.</summary>
    public static double Quantity(string text)
    {
        var end = text.Length;
        while (end > 0 && !char.IsAsciiDigit(text[end - 1])) end--;
        if (!double.TryParse(text.AsSpan(0, end), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)) return 0;
        return number * text[end..] switch
        {
            "m" => 1e-3,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "Ki" => 1024d,
            "Mi" => 1024d * 1024,
            "Gi" => 1024d * 1024 * 1024,
            "Ti" => 1024d * 1024 * 1024 * 1024,
            _ => 1,
        };
    }

    private static string Show(string resource, double value) => resource == "memory"
        ? string.Create(CultureInfo.InvariantCulture, $"{value / 1024 / 1024:0.#}Mi")
            : value.ToString("0.###", CultureInfo.InvariantCulture);
}
