using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Store;

/// <summary>One state of an object, as bytes: never changed, shared by all readers, watchers and pages.</summary>
internal sealed class StoredObject
{
    private StoredObject(
        byte[] utf8,
        string apiVersion,
        string? ns,
        string name,
        string uid,
        long revision,
        IReadOnlyDictionary<string, string> labels,
        IReadOnlyList<string> ownerUids,
        bool isDeleting)
    {
        Utf8 = utf8;
        ApiVersion = apiVersion;
        Namespace = ns;
        Name = name;
        Uid = uid;
        Revision = revision;
        Labels = labels;
        OwnerUids = ownerUids;
        IsDeleting = isDeleting;
    }

    public byte[] Utf8 { get; }
    public string ApiVersion { get; }
    public string? Namespace { get; }
    public string Name { get; }
    public string Uid { get; }
    public long Revision { get; }
    public IReadOnlyDictionary<string, string> Labels { get; }
    public IReadOnlyList<string> OwnerUids { get; }
    public bool IsDeleting { get; }

    /// <summary>
    /// Freezes an object; its resourceVersion is set to the revision, or left out for 0: of what was only tried.
    /// </summary>
    public static StoredObject Freeze(JsonObject obj, long revision)
    {
        var metadata = obj.Ensure("metadata");
        if (revision > 0)
            metadata["resourceVersion"] = revision.ToString();
        else
            metadata.Remove("resourceVersion");
        return new StoredObject(
            obj.ToUtf8(),
            obj.Str("apiVersion") ?? "",
            metadata.Str("namespace"),
            metadata.Str("name") ?? "",
            metadata.Str("uid") ?? "",
            revision,
            LabelSelector.LabelsOf(obj),
            [.. metadata.Objs("ownerReferences").Select(o => o.Str("uid") ?? "")],
            metadata["deletionTimestamp"] is not null);
    }

    /// <summary>A copy of its own for the caller.</summary>
    public JsonObject Copy() => JsonAccess.ParseObject(Utf8);
}

/// <summary>A committed change.</summary>
/// <param name="Type">What happened.</param>
/// <param name="Object">The state after it; for a deletion the last one.</param>
/// <param name="Previous">The state before, so that selectors can tell entering from staying.</param>
internal sealed record StoreEvent(WatchEventType Type, StoredObject Object, StoredObject? Previous)
{
    public long Revision => Object.Revision;
}
