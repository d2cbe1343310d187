using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Json;
using CiSteps.Hosting.Options;

namespace CiSteps.Clusters;

/// <summary>Labels and annotations on all that the chain makes in a cluster.</summary>
public static class Labels
{
    /// <summary>
    /// Label: which chain run made it, as people name it: <see cref="RunIdentity.Chain"/>. Claims bear the hash of the same run
    /// under a name of their own.
    /// </summary>
    public const string Chain = "cisteps.dev/chain";

    /// <summary>Label: under which lease it was made.</summary>
    public const string Lease = "cisteps.dev/lease";

    /// <summary>Label: which suite it belongs to.</summary>
    public const string Suite = "cisteps.dev/suite";

    /// <summary>Annotation: after this moment (RFC 3339) anybody may remove it.</summary>
    public const string Expires = "cisteps.dev/expires";

    /// <summary>Label: the program that manages the object.</summary>
    public const string ManagedBy = "app.kubernetes.io/managed-by";

    /// <summary>The labels of one chain run.</summary>
    public static IReadOnlyDictionary<string, string> Of(RunIdentity run, string? lease = null, string? suite = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        var labels = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [ManagedBy] = Cluster.FieldManager,
            [Chain] = Value(run.Chain)
        };
        if (lease is not null) labels[Lease] = Value(lease);
        if (suite is not null) labels[Suite] = Value(suite);
        return labels;
    }

    /// <summary>Text as a label value: at most 63 characters, letters, digits, <c>-_.</c>, alphanumeric at both ends.</summary>
    public static string Value(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var value = string.Concat(text.Select(
            letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' ? letter : '-'));
        return (value.Length > 63 ? value[..63] : value).Trim('-', '_', '.');
    }
}

/// <content>Namespaces, made and removed.</content>
public sealed partial class Cluster
{
    private static readonly TimeSpan StuckNews = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan HoldersLimit = TimeSpan.FromSeconds(5);

    /// <summary>Makes a namespace, or takes an existing one over; one that is just being removed is waited for.</summary>
    /// <param name="name">Of the namespace: at most 63 lower-case letters, digits and hyphens.</param>
    /// <param name="labels">Labels to set.</param>
    /// <param name="expires">After when anybody may remove it; null for never.</param>
    /// <param name="limit">How long to wait for an old one to go.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UnavailableException">The old one stays.</exception>
    public async Task CreateNamespaceAsync(
        string name,
        IReadOnlyDictionary<string, string> labels,
        DateTimeOffset? expires,
        TimeSpan limit,
        CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(labels);
        if (await FindAsync(Kinds.Namespace.Path(null, name), cancel).ConfigureAwait(false) is { } existing
            && existing.Member("metadata", "deletionTimestamp") is not null)
            await AwaitGoneAsync(Kinds.Namespace, null, name, limit, cancel).ConfigureAwait(false);
        var metadata = new JsonObject { ["name"] = name, ["labels"] = Map(labels) };
        if (expires is { } moment)
            metadata["annotations"] = new JsonObject
            {
                [Labels.Expires] = moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)
            };
        await ApplyAtAsync(
            Kinds.Namespace.Path(null, name),
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = metadata },
            dryRun: false,
            cancel).ConfigureAwait(false);
    }

    /// <summary>Removes a namespace and waits until it is really gone.</summary>
    /// <returns>False when there was none.</returns>
    /// <exception cref="UnavailableException">It is still there at the end of the time, with what holds it by name.</exception>
    public async Task<bool> DeleteNamespaceAsync(string name, TimeSpan limit, CancellationToken cancel)
    {
        try
        {
            if (!await DeleteAsync(Kinds.Namespace.Path(null, name), null, cancel).ConfigureAwait(false)) return false;
        }
        catch (ClusterApiException terminating) when (terminating.Code == 409)
        {
            // Somebody deleted it before: a server says so in this way.
        }
        await AwaitGoneAsync(Kinds.Namespace, null, name, limit, cancel).ConfigureAwait(false);
        return true;
    }

    /// <summary>Waits until an object is gone; every ten seconds says what still holds it.</summary>
    /// <exception cref="UnavailableException">It is still there at the end of the time, with its finalizers.</exception>
    public async Task AwaitGoneAsync(Kind kind, string? ns, string name, TimeSpan limit, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(kind);
        JsonObject? last = null;
        using var end = new CancellationTokenSource(limit, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end.Token, cancel);
        await using var news = Time.CreateTimer(
            _ => Log.Progress($"waiting for {kind.Name} \"{name}\" to be gone{Held(last)}"), null, StuckNews, StuckNews);
        try
        {
            await foreach (var change in WatchAsync(
                kind.Collection(ns), null, "metadata.name=" + name, either.Token).ConfigureAwait(false))
            {
                if (change.Kind == ChangeKind.Relisting) last = null;
                else if (change.Kind == ChangeKind.Present) last = change.Item;
                else if (change.Kind == ChangeKind.Gone || last is null) return;
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            var inside = kind == Kinds.Namespace ? await HoldersAsync(name, cancel).ConfigureAwait(false) : "";
            throw new UnavailableException("cleanup-stuck",
                $"{kind.Name} \"{name}\" is still there {Durations.Show(limit)} after it was deleted{Held(last)}{inside}; " +
                "remove what holds it, or its finalizers, by hand");
        }
    }

    /// <summary>
    /// Deletes all objects with a label, of every kind that the server lists in the namespace (null: in all, cluster-wide objects
    /// too).
    /// </summary>
    /// <returns>What was deleted.</returns>
    public async Task<IReadOnlyList<InventoryItem>> DeleteByLabelAsync(string selector, string? ns, CancellationToken cancel)
    {
        var found = await Inventory.TakeAsync(this, ns, selector, cancel).ConfigureAwait(false);
        return await Inventory.DeleteAsync(this, found.Items, cancel).ConfigureAwait(false);
    }

    // Not every server says in the namespace's conditions what is left in it: look.
    private async Task<string> HoldersAsync(string ns, CancellationToken cancel)
    {
        using var end = new CancellationTokenSource(HoldersLimit, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end.Token, cancel);
        try
        {
            var held = new List<string>();
            foreach (var item in (await Inventory.TakeAsync(this, ns, null, either.Token).ConfigureAwait(false)).Items.Take(5))
                if (await FindAsync(item.Path, either.Token).ConfigureAwait(false) is { } left)
                    held.Add(
                        $"{item}{(left.List("metadata", "finalizers") is { Count: > 0 } finalizers
                            ? $" with finalizer {string.Join(", ", finalizers.Texts())}"
                            : "")}");
            return held.Count == 0 ? "" : $"; still in it: {string.Join(", ", held)}";
        }
        catch (Exception error)
            when (error is UnavailableException or ClusterApiException
                || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            // The message does without.
            return "";
        }
    }

    // What Kubernetes itself says about a namespace that does not go, and the finalizers of anything.
    private static string Held(JsonObject? item)
    {
        if (item is null) return "";
        var parts = new List<string>();
        foreach (var type in (string[])[
            "NamespaceContentRemaining",
            "NamespaceFinalizersRemaining",
            "NamespaceDeletionContentFailure",
            "NamespaceDeletionDiscoveryFailure"
        ])
            if (Conditions.Find(item, type) is { Status: "True" } condition) parts.Add(condition.Message);
        var finalizers = item.Texts("metadata", "finalizers").ToList();
        if (finalizers.Count > 0) parts.Add($"finalizers {string.Join(", ", finalizers)}");
        return parts.Count == 0 ? "" : $" ({string.Join("; ", parts)})";
    }

    private static JsonObject Map(IReadOnlyDictionary<string, string> values)
    {
        var map = new JsonObject();
        foreach (var (name, value) in values) map[name] = value;
        return map;
    }
}
