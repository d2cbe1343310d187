using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// A container cannot be made because what it refers to is missing or wrong; shown as CreateContainerConfigError.
/// </summary>
internal sealed class ContainerConfigException(string message) : Exception(message);

/// <summary>A container's environment: literals, references, whole config maps and secrets, and $(VAR) expansion.</summary>
internal sealed class ContainerEnvironment(ClusterApi api, JsonObject pod, string? podAddress, string hostAddress)
{
    private readonly string ns = pod.Namespace();

    public IReadOnlyList<KeyValuePair<string, string>> Build(JsonObject container)
    {
        // Later entries win and references see the entries before them.
        var order = new List<string>();
        var values = new Dictionary<string, string>();
        foreach (var (name, value) in ServiceVariables())
            Set(name, value);
        foreach (var source in container.Objs("envFrom"))
        {
            foreach (var (name, value) in From(source))
                Set(name, value);
        }

        foreach (var entry in container.Objs("env"))
        {
            var name = entry.Str("name") ?? "";
            if (entry.Obj("valueFrom") is { } reference)
            {
                if (Resolve(reference, container) is { } resolved)
                    Set(name, resolved);
            }
            else
                Set(name, Expand(entry.Str("value") ?? "", values));
        }

        return [.. order.Select(n => KeyValuePair.Create(n, values[n]))];

        void Set(string name, string value)
        {
            if (values.TryAdd(name, value))
                order.Add(name);
            else
                values[name] = value;
        }
    }

    /// <summary>Replaces $(NAME) by known values; unknown ones stay, $$ is a plain dollar sign.</summary>
    public static string Expand(string text, IReadOnlyDictionary<string, string> values)
    {
        if (!text.Contains('$'))
            return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$' || i + 1 == text.Length)
            {
                result.Append(text[i]);
                continue;
            }

            if (text[i + 1] == '$')
            {
                result.Append('$');
                i++;
                continue;
            }

            var end = text[i + 1] == '(' ? text.IndexOf(')', i + 2) : -1;
            if (end < 0)
            {
                result.Append('$');
                continue;
            }

            var name = text[(i + 2)..end];
            result.Append(values.TryGetValue(name, out var value) ? value : $"$({name})");
            i = end;
        }

        return result.ToString();
    }

    /// <summary>A downward API field; null when it has no value.</summary>
    public string? Field(string path)
    {
        if (Subscript(path, "metadata.labels") is { } label)
            return pod.Label(label) ?? "";
        if (Subscript(path, "metadata.annotations") is { } annotation)
            return pod.Annotation(annotation) ?? "";
        return path switch
        {
            "metadata.name" => pod.Name(),
            "metadata.namespace" => ns,
            "metadata.uid" => pod.Uid(),
            "metadata.labels" => Lines(pod.Map("metadata", "labels")),
            "metadata.annotations" => Lines(pod.Map("metadata", "annotations")),
            "spec.nodeName" => pod.Str("spec", "nodeName"),
            "spec.serviceAccountName" => pod.Str("spec", "serviceAccountName") ?? "default",
            "status.hostIP" or "status.hostIPs" => hostAddress,
            "status.podIP" or "status.podIPs" => podAddress ?? "",
            _ => null,
        };
    }

    /// <summary>A container's request or limit, divided and rounded up.</summary>
    public string ResourceField(JsonObject reference, JsonObject container)
    {
        var named = reference.Str("containerName") is { Length: > 0 } other
            ? pod.Objs("spec", "containers")
                .Concat(pod.Objs("spec", "initContainers"))
                .FirstOrDefault(c => c.Str("name") == other)
                ?? container
            : container;
        var parts = (reference.Str("resource") ?? "").Split('.', 2);
        if (parts.Length != 2)
            throw new ContainerConfigException($"unsupported container resource : {reference.Str("resource")}");
        var text = Text(named.At("resources", parts[0], parts[1]))
            ?? (parts[0] == "requests" ? Text(named.At("resources", "limits", parts[1])) : null);
        var divisor = Quantity.Parse(Text(reference["divisor"]));
        if (divisor == 0)
            divisor = 1;
        var node = api.Get(Kinds.Nodes, null, pod.Str("spec", "nodeName") ?? "");
        var amount = Quantity.Parse(text ?? Text(node.At("status", "allocatable", parts[1])));
        return decimal.Ceiling(amount / divisor).ToString(CultureInfo.InvariantCulture);

        static string? Text(JsonNode? value) =>
            value.Str() ?? (value.Num() is { } number ? number.ToString(CultureInfo.InvariantCulture) : null);
    }

    private static string? Subscript(string path, string of) =>
        path.StartsWith(of + "['", StringComparison.Ordinal) && path.EndsWith("']", StringComparison.Ordinal)
            ? path[(of.Length + 2)..^2]
            : null;

    private static string Lines(IEnumerable<KeyValuePair<string, string>> map) =>
        string.Join(
            '\n',
            map
                .OrderBy(p => p.Key, StringComparer.Ordinal)
                .Select(p => $"{p.Key}=\"{p.Value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n")}\""));

    private string? Resolve(JsonObject reference, JsonObject container)
    {
        if (reference.Obj("fieldRef") is { } field)
            return Field(field.Str("fieldPath") ?? "")
                ?? throw new ContainerConfigException($"unsupported fieldPath: {field.Str("fieldPath")}");
        if (reference.Obj("resourceFieldRef") is { } resource)
            return ResourceField(resource, container);
        if (reference.Obj("configMapKeyRef") is { } map)
            return Key(Kinds.ConfigMaps, "configmap", "ConfigMap", map);
        if (reference.Obj("secretKeyRef") is { } secret)
            return Key(Kinds.Secrets, "secret", "Secret", secret);
        return "";
    }

    private string? Key(ResourceType type, string word, string kind, JsonObject reference)
    {
        var name = reference.Str("name") ?? "";
        var key = reference.Str("key") ?? "";
        var optional = reference.Flag("optional");
        if (api.Get(type, ns, name) is not { } source)
            return optional ? null : throw new ContainerConfigException($"{word} \"{name}\" not found");
        if (PodVolumes.DataOf(source).TryGetValue(key, out var bytes))
            return Encoding.UTF8.GetString(bytes);
        return optional ? null : throw new ContainerConfigException($"couldn't find key {key} in {kind} {ns}/{name}");
    }

    private IEnumerable<KeyValuePair<string, string>> From(JsonObject source)
    {
        var prefix = source.Str("prefix") ?? "";
        var (type, word, reference) = source.Obj("configMapRef") is { } map
            ? (Kinds.ConfigMaps, "configmap", map)
            : (Kinds.Secrets, "secret", source.Obj("secretRef"));
        var name = reference.Str("name") ?? "";
        if (api.Get(type, ns, name) is not { } found)
            return reference.Flag("optional") ? [] : throw new ContainerConfigException($"{word} \"{name}\" not found");
        return PodVolumes.DataOf(found)
            .OrderBy(p => p.Key, StringComparer.Ordinal)
            .Select(p => KeyValuePair.Create(prefix + p.Key, Encoding.UTF8.GetString(p.Value)));
    }

    private IEnumerable<KeyValuePair<string, string>> ServiceVariables()
    {
        var services = new List<JsonObject>();
        if (api.Get(Kinds.Services, "default", "kubernetes") is { } own)
            services.Add(own);
        if (pod.At("spec", "enableServiceLinks") is null || pod.Flag("spec", "enableServiceLinks"))
            services.AddRange(api.List(Kinds.Services, ns).Items.Where(s => !(ns == "default" && s.Name() == "kubernetes")));
        foreach (var service in services)
        {
            var address = service.Str("spec", "clusterIP");
            if (string.IsNullOrEmpty(address)
                || address == "None"
                || service.Objs("spec", "ports").FirstOrDefault() is not { } first)
                continue;
            var name = service.Name().ToUpperInvariant().Replace('-', '_');
            yield return new($"{name}_SERVICE_HOST", address);
            yield return new($"{name}_SERVICE_PORT", Port(first));
            foreach (var port in service.Objs("spec", "ports").Where(p => p.Str("name") is { Length: > 0 }))
                yield return new($"{name}_SERVICE_PORT_{port.Str("name")!.ToUpperInvariant().Replace('-', '_')}", Port(port));
            yield return new($"{name}_PORT", $"tcp://{address}:{Port(first)}");
            foreach (var port in service.Objs("spec", "ports"))
            {
                var protocol = port.Str("protocol") ?? "TCP";
                var stem = $"{name}_PORT_{Port(port)}_{protocol}";
                yield return new(stem, $"{protocol.ToLowerInvariant()}://{address}:{Port(port)}");
                yield return new(stem + "_PROTO", protocol.ToLowerInvariant());
                yield return new(stem + "_PORT", Port(port));
                yield return new(stem + "_ADDR", address);
            }
        }

        static string Port(JsonObject port) => (port.Num("port") ?? 0).ToString(CultureInfo.InvariantCulture);
    }
}
