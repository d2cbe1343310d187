using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using CiSteps.Sandbox.Api.Auth;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api;

/// <summary>Fills secrets of the type service-account-token, and removes them with their account.</summary>
internal sealed class TokenSecrets : IClusterComponent
{
    private const string TokenType = "kubernetes.io/service-account-token";
    private const string NameAnnotation = "kubernetes.io/service-account.name";
    private const string UidAnnotation = "kubernetes.io/service-account.uid";

    public async Task RunAsync(ClusterApi api, CancellationToken cancel)
    {
        var work = Channel.CreateUnbounded<(string Namespace, string? Secret)>(new() { SingleReader = true });
        void OnCommit(string storageKey, StoreEvent change)
        {
            if (storageKey == Kinds.Secrets.StorageKey && change.Type == WatchEventType.Added)
                work.Writer.TryWrite((change.Object.Namespace!, change.Object.Name));
            else if (storageKey == Kinds.ServiceAccounts.StorageKey && change.Type != WatchEventType.Modified)
                work.Writer.TryWrite((change.Object.Namespace!, null));
        }
        lock (api.Store.Gate)
            api.Store.Committed += OnCommit;
        try
        {
            await foreach (var (ns, name) in work.Reader.ReadAllAsync(cancel).ConfigureAwait(false))
            {
                var secrets = name is null
                    ? api.List(Kinds.Secrets, ns).Items
                    : api.Get(Kinds.Secrets, ns, name) is { } one ? [one] : [];
                foreach (var secret in secrets.Where(s => s.Str("type") == TokenType))
                    Settle(api, ns, secret);
            }
        }
        finally
        {
            lock (api.Store.Gate)
                api.Store.Committed -= OnCommit;
        }
    }

    private static void Settle(ClusterApi api, string ns, JsonObject secret)
    {
        var metadata = secret.Obj("metadata")!;
        var account = api.Get(Kinds.ServiceAccounts, ns, metadata.Str("annotations", NameAnnotation) ?? "");
        var bound = metadata.Str("annotations", UidAnnotation);
        try
        {
            if (account is null || (bound is not null && bound != account.Str("metadata", "uid")))
            {
                // A secret may be made before its account; one that has lost its account goes.
                if (bound is not null)
                    api.Delete(
                        Kinds.Secrets, ns, metadata.Str("name")!, new DeleteOptions { PreconditionUid = metadata.Str("uid") });
                return;
            }
            if (secret.At("data", "token") is not null)
                return;
            var uid = account.Str("metadata", "uid")!;
            var token = api.Tokens.IssueForSecret(
                ns,
                account.Str("metadata", "name")!,
                uid,
                new BoundObject("Secret", metadata.Str("name")!, metadata.Str("uid")!));
            metadata.Ensure("annotations")[UidAnnotation] = uid;
            var data = secret.Ensure("data");
            data["token"] = Encode(token);
            data["namespace"] = Encode(ns);
            if (api.RootCertificatePem is { } pem)
                data["ca.crt"] = Encode(pem);
            api.Update(Kinds.Secrets, secret);
        }
        catch (ApiException e) when (e.Code is 404 or 409)
        {
            // Changed in the meantime: the change comes here by itself.
        }
    }

    private static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
