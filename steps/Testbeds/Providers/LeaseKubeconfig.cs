using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Testbeds.Pool;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace CiSteps.Testbeds.Providers;

/// <summary>A kubeconfig with a lease's own token for the cluster that an administrator's kubeconfig names.</summary>
internal static class LeaseKubeconfig
{
    /// <summary>Address and authority of the current context's cluster, with another user.</summary>
    /// <exception cref="TestbedBrokenException">The administrator's kubeconfig is not usable.</exception>
    public static string With(string administrators, string token, string context, string? ns)
    {
        var cluster = CurrentCluster(administrators);
        var text = new StringBuilder("apiVersion: v1\nkind: Config\nclusters:\n- name: testbed\n  cluster:\n");
        foreach (var (key, value) in cluster) text.Append("    ").Append(key).Append(": ").Append(value is "true" or "false" ? value : Quoted(value)).Append('\n');
        text.Append("users:\n- name: lease\n  user:\n    token: ").Append(Quoted(token)).Append('\n')
            .Append("contexts:\n- name: ").Append(Quoted(context)).Append("\n  context:\n    cluster: testbed\n    user: lease\n");
        if (ns is not null) text.Append("    namespace: ").Append(Quoted(ns)).Append('\n');
        return text.Append("current-context: ").Append(Quoted(context)).Append('\n').ToString();
    }

    private static List<(string Key, string Value)> CurrentCluster(string kubeconfig)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(kubeconfig));
            var root = (YamlMappingNode)stream.Documents[0].RootNode;
            var current = Scalar(root, "current-context");
            var context = Named(root, "contexts", current, "context");
            var cluster = Named(root, "clusters", context is null ? null : Scalar(context, "cluster"), "cluster");
            if (cluster is null || Scalar(cluster, "server") is not { } server)
                throw new TestbedBrokenException("its kubeconfig has no cluster for the current context");
            var found = new List<(string, string)> { ("server", server) };
            if (Scalar(cluster, "certificate-authority-data") is { Length: > 0 } data) found.Add(("certificate-authority-data", data));
            else if (Scalar(cluster, "certificate-authority") is { Length: > 0 } path)
                found.Add(("certificate-authority-data", Convert.ToBase64String(File.ReadAllBytes(path))));
            if (Scalar(cluster, "tls-server-name") is { Length: > 0 } name) found.Add(("tls-server-name", name));
            if (Scalar(cluster, "insecure-skip-tls-verify") == "true") found.Add(("insecure-skip-tls-verify", "true"));
            return found;
        }
        catch (Exception error) when (error is YamlException or InvalidCastException or ArgumentOutOfRangeException or IOException or UnauthorizedAccessException)
        {
            throw new TestbedBrokenException($"its kubeconfig cannot be read: {error.Message}", error);
        }
    }

    private static YamlMappingNode? Named(YamlMappingNode root, string list, string? name, string member) =>
        name is not null && root.Children.TryGetValue(new YamlScalarNode(list), out var found) && found is YamlSequenceNode entries
            ? entries.OfType<YamlMappingNode>().FirstOrDefault(entry => Scalar(entry, "name") == name) is { } entry
                && entry.Children.TryGetValue(new YamlScalarNode(member), out var its) ? its as YamlMappingNode : null
            : null;

    private static string? Scalar(YamlMappingNode from, string key) =>
        from.Children.TryGetValue(new YamlScalarNode(key), out var value) ? (value as YamlScalarNode)?.Value : null;

    // A JSON string is a YAML string.
    private static string Quoted(string value) => JsonValue.Create(value)!.ToJsonString();
}
