using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api;

/// <summary>What happened to an object.</summary>
internal enum WatchEventType
{
    /// <summary>It came into being, or existed when the watch began.</summary>
    Added,
    /// <summary>It changed.</summary>
    Modified,
    /// <summary>It is gone; the object shows its last state.</summary>
    Deleted,
}

/// <summary>One event of a watch.</summary>
/// <param name="Type">What happened.</param>
/// <param name="Object">The object; the receiver's own copy.</param>
/// <param name="ResourceVersion">Where to resume after this event.</param>
#pragma warning disable CA1720 // The API calls it object.
internal sealed record WatchEvent(WatchEventType Type, JsonObject Object, long ResourceVersion);
#pragma warning restore CA1720

/// <summary>A consistent list.</summary>
/// <param name="Items">The receiver's own copies, ordered by namespace and name; they may be changed freely.</param>
/// <param name="ResourceVersion">Where a watch continues from this list.</param>
internal sealed record ObjectList(IReadOnlyList<JsonObject> Items, long ResourceVersion);

/// <summary>What becomes of the objects that a deleted one owns.</summary>
internal enum Propagation
{
    /// <summary>The owner goes at once, the owned follow.</summary>
    Background,
    /// <summary>The owned go first.</summary>
    Foreground,
    /// <summary>The owned stay and lose their owner reference.</summary>
    Orphan,
}

/// <summary>How to delete.</summary>
internal sealed record DeleteOptions
{
    /// <summary>Seconds; null for the object's own period; 0 removes a pod without waiting for its node.</summary>
    public long? GracePeriodSeconds { get; init; }

    /// <summary>Null for the kind's default.</summary>
    public Propagation? Propagation { get; init; }

    /// <summary>Deletes only when the object has this uid.</summary>
    public string? PreconditionUid { get; init; }

    /// <summary>Deletes only when the object has this resourceVersion.</summary>
    public string? PreconditionResourceVersion { get; init; }

    /// <summary>Checks everything and changes nothing.</summary>
    public bool DryRun { get; init; }
}

/// <summary>How to write.</summary>
internal sealed record WriteOptions
{
    /// <summary>Who is recorded in <c>metadata.managedFields</c>.</summary>
    public string FieldManager { get; init; } = "kube-controller-manager";

    /// <summary>Checks everything and changes nothing.</summary>
    public bool DryRun { get; init; }

    /// <summary>Who asks over HTTP; null for the cluster's own parts, which may do everything.</summary>
    internal Auth.UserInfo? User { get; init; }

    /// <summary>Whether the managers' fields are worked out already.</summary>
    internal bool OwnershipIsSet { get; init; }
}
