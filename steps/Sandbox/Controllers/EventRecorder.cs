using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>Writes events as controllers and kubelets do: the same event again raises the count of the first.</summary>
/// <param name="api">The cluster.</param>
/// <param name="component">Who speaks: "deployment-controller", "kubelet", …</param>
/// <param name="time">The clock.</param>
internal sealed class EventRecorder(ClusterApi api, string component, TimeProvider time)
{
    // Events older than this start a new series, as Kubernetes' correlator does with its cache.
    private const int SeriesLimit = 4096;

    private readonly Lock gate = new();
    private readonly Dictionary<
        (string Uid, string FieldPath, string Type, string Reason, string Message), (ObjectKey Key, int Count)> series = [];

    public void Normal(JsonObject about, string reason, string message, string? fieldPath = null, string? host = null) =>
        Write(about, "Normal", reason, message, fieldPath, host);

    public void Warning(JsonObject about, string reason, string message, string? fieldPath = null, string? host = null) =>
        Write(about, "Warning", reason, message, fieldPath, host);

    private void Write(JsonObject about, string type, string reason, string message, string? fieldPath, string? host)
    {
        // API text fields are bounded.
        if (message.Length > 1024)
            message = message[..1021] + "...";
        var ns = about.Namespace().Length == 0 ? "default" : about.Namespace();
        var now = time.GetUtcNow();
        var series = (about.Uid(), fieldPath ?? "", type, reason, message);
        lock (gate)
        {
            try
            {
                if (this.series.TryGetValue(series, out var known)
                    && api.Get(Kinds.Events, known.Key.Namespace, known.Key.Name) is { } present)
                {
                    var again = present.Copy();
                    again["count"] = known.Count + 1;
                    again["lastTimestamp"] = JsonAccess.Stamp(now);
                    api.Update(Kinds.Events, again);
                    this.series[series] = (known.Key, known.Count + 1);
                    return;
                }

                var name = $"{about.Name()}.{now.UtcTicks:x}{this.series.Count & 0xf:x}";
                api.Create(Kinds.Events, ns, Compose(about, ns, name, type, reason, message, fieldPath, host, now));
                if (this.series.Count > SeriesLimit)
                    this.series.Clear();
                this.series[series] = (new(ns, name), 1);
            }
            catch (ApiException)
            {
                // A namespace that is going away takes no events; an event is never worth failing for.
            }
        }
    }

    private JsonObject Compose(
        JsonObject about,
        string ns,
        string name,
        string type,
        string reason,
        string message,
        string? fieldPath,
        string? host,
        DateTimeOffset now)
    {
        var involved = new JsonObject
        {
            ["kind"] = about.Str("kind"),
            ["apiVersion"] = about.Str("apiVersion"),
            ["name"] = about.Name(),
            ["uid"] = about.Uid(),
        };
        if (about.Namespace().Length > 0)
            involved["namespace"] = about.Namespace();
        if (about.Str("metadata", "resourceVersion") is { } version)
            involved["resourceVersion"] = version;
        if (fieldPath is not null)
            involved["fieldPath"] = fieldPath;
        var source = new JsonObject { ["component"] = component };
        if (host is not null)
            source["host"] = host;
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Event",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns },
            ["involvedObject"] = involved,
            ["type"] = type,
            ["reason"] = reason,
            ["message"] = message,
            ["count"] = 1,
            ["firstTimestamp"] = JsonAccess.Stamp(now),
            ["lastTimestamp"] = JsonAccess.Stamp(now),
            ["eventTime"] = null,
            ["source"] = source,
            ["reportingComponent"] = component,
            ["reportingInstance"] = host ?? "",
        };
    }
}
