using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>
/// Gives each namespace what a new one has: the service account "default" and, where the authority is known, kube-root-ca.crt.
/// </summary>
internal sealed class NamespaceFurnisher
{
    private readonly ClusterApi api;
    private readonly string? authorityPem;

    public NamespaceFurnisher(ClusterApi api, ClusterFeed feed, TimeProvider time, Action<string> report, string? authorityPem)
    {
        this.api = api;
        this.authorityPem = authorityPem;
        Loop = new("namespaces", time, report, Reconcile);
        feed.On(Kinds.Namespaces, (ns, _) => Loop.Add(new("", ns.Name())));
        feed.On(Kinds.ServiceAccounts, (account, gone) =>
        {
            if (gone)
                Loop.Add(new("", account.Namespace()));
        });
        feed.On(Kinds.ConfigMaps, (map, gone) =>
        {
            if (gone && map.Name() == "kube-root-ca.crt")
                Loop.Add(new("", map.Namespace()));
        });
    }

    public ReconcileLoop Loop { get; }

    private TimeSpan? Reconcile(ObjectKey key)
    {
        var ns = api.Get(Kinds.Namespaces, null, key.Name);
        if (ns is null || ns.IsBeingDeleted() || ns.Str("status", "phase") == "Terminating")
            return null;
        Ensure(Kinds.ServiceAccounts, key.Name, "default", new());
        if (authorityPem is not null)
            Ensure(
                Kinds.ConfigMaps,
                key.Name,
                "kube-root-ca.crt",
                new() { ["data"] = new JsonObject { ["ca.crt"] = authorityPem } });
        return null;
    }

    private void Ensure(ResourceType type, string ns, string name, JsonObject content)
    {
        if (api.Get(type, ns, name) is not null)
            return;
        content["apiVersion"] = type.ApiVersion;
        content["kind"] = type.Kind;
        content["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns };
        try
        {
            api.Create(type, ns, content);
        }
        catch (ApiException e) when (e.Code == 409)
        {
            // Somebody was faster.
        }
    }
}
