using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>Whether a testbed is a whole cluster or a fenced namespace.</summary>
public enum TestbedScope
{
    /// <summary>Everything may be deployed.</summary>
    Cluster,

    /// <summary>One namespace: nothing that lives outside it.</summary>
    Namespace,
}

/// <summary>
/// Manifests on their way to a cluster, as <see cref="ManifestFiles"/> reads them. Every operation gives a new set and leaves
/// this one alone.
/// </summary>
public sealed class ManifestSet
{
    private ManifestSet(IReadOnlyList<Manifest> items) => Items = items;

    /// <summary>The manifests, in their order.</summary>
    public IReadOnlyList<Manifest> Items { get; }

    /// <summary>A set of one.</summary>
    public static ManifestSet Of(params IReadOnlyList<Manifest> items) => new(items);

    /// <summary>No manifests.</summary>
    public static ManifestSet Empty { get; } = new([]);

    /// <summary>This set and then the other.</summary>
    public ManifestSet And(ManifestSet other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new([.. Items, .. other.Items]);
    }

    /// <summary>Only some of them.</summary>
    public ManifestSet Where(Func<Manifest, bool> wanted) => new([.. Items.Where(wanted)]);

    /// <summary>Whether the set has such a workload.</summary>
    public bool Has(string kind, string name) => Items.Any(item => item.Kind == kind && item.Name == name);

    /// <summary>Gives one container of one workload its image.</summary>
    /// <param name="kind">The workload's kind.</param>
    /// <param name="name">The workload's name.</param>
    /// <param name="container">The container's name.</param>
    /// <param name="image"><c>repository@sha256:…</c>.</param>
    /// <exception cref="UsageException">There is no such workload or container.</exception>
    public ManifestSet WithImage(string kind, string name, string container, string image)
    {
        var found = false;
        var items = Items.Select(item =>
        {
            if (item.Kind != kind || item.Name != name) return item;
            found = true;
            var copy = item with { Json = (JsonObject)item.Json.DeepClone() };
            var target = copy.Containers.FirstOrDefault(candidate => candidate.Container.Text("name") == container).Container
                ?? throw new UsageException(
                    $"{item.Source}: {item.Title} has no container \"{container}\"; it has " +
                    $"{string.Join(", ", item.Containers.Select(each => $"\"{each.Container.Text("name")}\""))}")
                {
                    Fault = Fault.Change
                };
            target["image"] = image;
            return copy;
        }).ToList();
        return found
            ? new ManifestSet(items)
            : throw new UsageException(
                $"the manifests have no {kind} \"{name}\" ({Sources()}); correct the workload in ci-steps.yaml")
            {
                Fault = Fault.Change
            };
    }

    /// <summary>Replaces images, of all containers of all pods.</summary>
    /// <param name="instead">The image to use instead of a given one; null to leave it.</param>
    public ManifestSet WithImages(Func<string, string?> instead)
    {
        ArgumentNullException.ThrowIfNull(instead);
        return new([.. Items.Select(item =>
        {
            if (!item.Containers.Any(each => Find(each.Container) is not null)) return item;
            var copy = item with { Json = (JsonObject)item.Json.DeepClone() };
            foreach (var (container, _) in copy.Containers)
                if (Find(container) is { } image) container["image"] = image;
            return copy;
        })]);

        string? Find(JsonObject container) => Reading.Text(container["image"]) is { } text ? instead(text) : null;
    }

    /// <summary>Adds annotations to one workload itself, not to its pods.</summary>
    public ManifestSet WithAnnotations(string kind, string name, IReadOnlyDictionary<string, string> annotations)
    {
        ArgumentNullException.ThrowIfNull(annotations);
        return new([.. Items.Select(item =>
        {
            if (item.Kind != kind || item.Name != name) return item;
            var copy = item with { Json = (JsonObject)item.Json.DeepClone() };
            var metadata = (JsonObject)copy.Json["metadata"]!;
            if (metadata["annotations"] is not JsonObject existing) metadata["annotations"] = existing = [];
            foreach (var (key, value) in annotations) existing[key] = value;
            return copy;
        })]);
    }

    /// <summary>SHA-256 over all manifests in kind order, secrets' values too: the same text, the same number.</summary>
    public string Fingerprint()
    {
        var text = string.Join('\n', InKindOrder().Items.Select(item => item.Json.ToJsonString()));
        return Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }

    /// <summary>Refuses images that may be another one tomorrow: without tag and digest, or <c>latest</c>.</summary>
    /// <exception cref="UsageException">Names every such image and where it stands.</exception>
    public ManifestSet RefusingMovingImages()
    {
        var moving = Items.SelectMany(
            item => item.Containers.Select(
                each => (item, Name: each.Container.Text("name"), Image: each.Container.Text("image") ?? "")))
            .Where(each => IsMoving(each.Image))
            .Select(each => $"{each.item.Source}: container \"{each.Name}\" of {each.item.Title} has the image \"{each.Image}\"")
                .ToList();
        return moving.Count == 0 ? this : throw new UsageException(
            $"images must be named by digest or full tag, so that what was tested is what runs: {string.Join("; ", moving)}")
        {
            Fault = Fault.Change
        };
    }

    /// <summary>Puts all objects into a namespace, and adds labels to them and to the pods that they make.</summary>
    /// <param name="ns">Namespace for all that does not keep one of its own.</param>
    /// <param name="scope">What may be deployed. In a cluster-wide testbed objects keep a namespace of their own.</param>
    /// <param name="labels">Labels to add.</param>
    /// <param name="withNamespace">Whether a manifest of the namespace itself stays in the set; otherwise the caller makes
    /// it.</param>
    /// <exception cref="UsageException">In a namespace testbed: cluster-wide objects or another namespace.</exception>
    public ManifestSet Into(string ns, TestbedScope scope, IReadOnlyDictionary<string, string> labels, bool withNamespace = false)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var wrong = new List<string>();
        var items = new List<Manifest>();
        foreach (var item in Items)
        {
            var copy = item with { Json = (JsonObject)item.Json.DeepClone() };
            var metadata = (JsonObject)copy.Json["metadata"]!;
            if (KindOrder.IsClusterWide(item.Kind))
            {
                // The suite's own namespace is made by the step, with its labels and expiry.
                if (item.Kind == "Namespace" && item.Name == ns && !withNamespace) continue;
                if (scope == TestbedScope.Namespace) wrong.Add($"{item.Source}: {item.Title} is cluster-wide");
            }
            else if (item.Namespace is { } own && own != ns)
            {
                if (scope == TestbedScope.Namespace) wrong.Add($"{item.Source}: {item.Title} asks for the namespace \"{own}\"");
            }
            else metadata["namespace"] = ns;
            AddLabels(metadata, labels);
            if (copy.PodTemplate is { } template)
            {
                if (template["metadata"] is not JsonObject pod) template["metadata"] = pod = [];
                AddLabels(pod, labels);
            }
            items.Add(copy);
        }
        return wrong.Count == 0 ? new ManifestSet(items) : throw new UsageException(
            $"this testbed is the one namespace \"{ns}\", and these manifests reach outside it: {string.Join("; ", wrong)}; " +
            "take them out, or give the suite a testbed class of scope cluster")
        {
            Fault = Fault.Change
        };
    }

    /// <summary>
    /// In the order in which a cluster can take them: namespaces, definitions, rights, configuration, services, workloads.
    /// </summary>
    public ManifestSet InKindOrder() => new([.. Items.OrderBy(item => KindOrder.Rank(item.Kind))]);

    /// <summary>All manifests as YAML documents (JSON notation), secrets' values left out; for people and artifacts.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        foreach (var item in Items)
        {
            var shown = SecretFree.Copy(item.Json);
            text.Append("--- # ").Append(item.Source).Append('\n').Append(shown.ToJsonString(Indented)).Append('\n');
        }
        return text.ToString();
    }

    internal static JsonSerializerOptions Indented { get; } = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = CiSteps.Hosting.Evidence.HandOverJson.Default,
    };

    private string Sources() => string.Join(", ", Items.Select(item => item.Source.Split(':')[0]).Distinct());

    private static void AddLabels(JsonObject metadata, IReadOnlyDictionary<string, string> labels)
    {
        if (metadata["labels"] is not JsonObject existing) metadata["labels"] = existing = [];
        foreach (var (name, value) in labels) existing[name] = value;
    }

    private static bool IsMoving(string image)
    {
        if (image.Contains("@sha256:", StringComparison.Ordinal)) return false;
        var last = image[(image.LastIndexOf('/') + 1)..];
        var colon = last.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 || last[(colon + 1)..] is "latest" or "";
    }
}
