using System.Net;
using System.Net.Sockets;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Services;

/// <summary>
/// What cluster.local answers: services, headless services by their ready endpoints, stable pod names, ports (SRV), addresses
/// back to names.
/// </summary>
internal sealed class ServiceNames(ServiceTable table)
{
    private const string Zone = "cluster.local";

    /// <summary>The reply, or null for a name that is not the cluster's.</summary>
    public byte[]? Answer(NameQuestion question)
    {
        if (question.Name.EndsWith(".in-addr.arpa", StringComparison.Ordinal))
            return Back(question);
        if (question.Name != Zone && !question.Name.EndsWith("." + Zone, StringComparison.Ordinal))
            return null;
        var records = Resolve(question);
        if (records is null)
            return question.Reply(NameQuestion.NoSuchName, []);
        return question.Reply(
            NameQuestion.NoError,
            [.. records.Where(
                r => r.Type == question.Type || r.Type == NameQuestion.CName || question.Type == NameQuestion.Any)]);
    }

    /// <summary>
    /// The name outside whose addresses belong into the reply, for the address of a service that is but another name; else null.
    /// </summary>
    public string? TargetOf(NameQuestion question) =>
        question.Type is NameQuestion.A or NameQuestion.Aaaa
            && question.Name.Split('.') is [var service, var ns, "svc", "cluster", "local"]
        && table.Find(new(ns, service)) is { } found && found.Str("spec", "type") == "ExternalName"
            ? found.Str("spec", "externalName")?.TrimEnd('.').ToLowerInvariant() : null;

    private List<NameRecord>? Resolve(NameQuestion question)
    {
        var labels = question.Name.Split('.');
        return labels switch
        {
            [var address, _, "pod", "cluster", "local"] =>
                IPAddress.TryParse(address.Replace('-', '.'), out var parsed) ? [Address(question.Name, parsed)] : null,
            [var service, var ns, "svc", "cluster", "local"] => OfService(question.Name, new(ns, service)),
            [var port, var protocol, var service, var ns, "svc", "cluster", "local"]
                when port.StartsWith('_') && protocol.StartsWith('_') =>
                OfPort(question.Name, new(ns, service), port[1..], protocol[1..]),
            [var host, var service, var ns, "svc", "cluster", "local"] => OfEndpoint(question.Name, new(ns, service), host),
            [_, "svc", "cluster", "local"] or ["svc", "cluster", "local"] or ["cluster", "local"] => [],
            _ => null,
        };
    }

    private List<NameRecord>? OfService(string name, ObjectKey key)
    {
        if (table.Find(key) is not { } service)
            return null;
        if (service.Str("spec", "type") == "ExternalName")
            return [new(name, NameQuestion.CName, NameQuestion.Encode(service.Str("spec", "externalName") ?? ""))];
        if (IPAddress.TryParse(service.Str("spec", "clusterIP"), out var address))
            return [Address(name, address)];
        var ready = table.Endpoints(key).Where(e => e.Ready).Select(e => e.Address).Distinct().ToList();
        return ready.Count == 0 ? null : [.. ready.Select(a => Address(name, a))];
    }

    private List<NameRecord>? OfEndpoint(string name, ObjectKey key, string host)
    {
        var found = table.Endpoints(key).Where(e => e.Ready && HostOf(e) == host).Select(e => e.Address).Distinct().ToList();
        return table.Find(key) is null || found.Count == 0 ? null : [.. found.Select(a => Address(name, a))];
    }

    private List<NameRecord>? OfPort(string name, ObjectKey key, string port, string protocol)
    {
        if (table.Find(key) is not { } service)
            return null;
        var named = service
            .Objs("spec", "ports")
            .FirstOrDefault(
                p => p.Str("name") == port && (p.Str("protocol") ?? "TCP").Equals(protocol, StringComparison.OrdinalIgnoreCase));
        if (named is null)
            return null;
        var stem = $"{key.Name}.{key.Namespace}.svc.{Zone}";
        if (IPAddress.TryParse(service.Str("spec", "clusterIP"), out _))
            return [Port(name, named.Int(0, "port"), stem)];
        return [.. table.Endpoints(key)
            .Where(e => e.Ready && e.Ports.ContainsKey(port))
            .Select(e => Port(name, e.Ports[port], $"{HostOf(e)}.{stem}"))];
    }

    private byte[]? Back(NameQuestion question)
    {
        var labels = question.Name.Split('.');
        if (labels.Length != 6 || !IPAddress.TryParse(string.Join('.', labels.Take(4).Reverse()), out var address))
            return null;
        var text = address.ToString();
        if (table.Services.FirstOrDefault(s => s.Str("spec", "clusterIP") == text) is { } service)
            return question.Reply(
                NameQuestion.NoError,
                [new(
                    question.Name, NameQuestion.Ptr, NameQuestion.Encode($"{service.Name()}.{service.Namespace()}.svc.{Zone}"))]);
        return null;
    }

    private static string HostOf(ServiceEndpoint endpoint) => endpoint.Hostname ?? endpoint.Address.ToString().Replace('.', '-');

    private static NameRecord Address(string name, IPAddress address) =>
        new(
            name,
            address.AddressFamily == AddressFamily.InterNetwork ? NameQuestion.A : NameQuestion.Aaaa,
            address.GetAddressBytes());

    private static NameRecord Port(string name, int port, string host)
    {
        byte[] target = NameQuestion.Encode(host);
        return new(name, NameQuestion.Srv, [0, 0, 0, 100, (byte)(port >> 8), (byte)port, .. target]);
    }
}
