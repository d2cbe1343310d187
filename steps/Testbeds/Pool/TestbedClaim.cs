using System.Text.Json.Nodes;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Pool;

/// <summary>One claim, as the object in the management cluster says.</summary>
internal sealed record TestbedClaim(JsonObject Json)
{
    public string Name => Json.Name();

    public string Uid => Json.Uid();

    public string Class => Json.Text("spec", "class") ?? "";

    /// <summary>Who asks, for people.</summary>
    public string Who => Json.Text("spec", "who") ?? "";

    public string Suite => Json.Text("spec", "suite") ?? "";

    public long Priority => Json.Number("spec", "priority") ?? 0;

    /// <summary>Claims with the same set are bound together or not at all.</summary>
    public string Set => Json.Text("spec", "set", "id") ?? Uid;

    /// <summary>How many claims the set has.</summary>
    public int SetSize => (int)(Json.Number("spec", "set", "size") ?? 1);

    public DateTimeOffset Created => Json.Time("metadata", "creationTimestamp") ?? default;

    /// <summary>How long the claimant waits; null: for ever.</summary>
    public TimeSpan? Wait => Json.Seconds("spec", "waitSeconds");

    public ClaimPhase Phase => Enum.TryParse<ClaimPhase>(Json.Text("status", "phase"), out var phase) ? phase : ClaimPhase.Pending;

    /// <summary>The testbed that it got.</summary>
    public string? Testbed => Json.Text("status", "testbed");

    /// <summary>The lease's number.</summary>
    public long Lease => Json.Number("status", "lease") ?? 0;

    /// <summary>Name of the Secret with the lease's kubeconfig.</summary>
    public string? Secret => Json.Text("status", "secret");

    public DateTimeOffset? BoundAt => Json.Time("status", "boundAt");

    /// <summary>Why it is as it is: a word for programs.</summary>
    public string? Reason => Json.Text("status", "reason");

    /// <summary>Why it is as it is, for people.</summary>
    public string Message => Json.Text("status", "message") ?? "";

    /// <summary>Who works with the testbed; null until it is picked up.</summary>
    public string? Holder => Json.Text("spec", "holder", "identity");

    /// <summary>The holder's last sign of life, by the holder's clock: only its change means something to others.</summary>
    public string? RenewTime => Json.Text("spec", "holder", "renewTime");

    public bool IsBeingDeleted => Json.Text("metadata", "deletionTimestamp") is not null;

    /// <summary>The lease times: what the claim asks for, at most what the class allows.</summary>
    public LeaseTimes Times(TestbedClass? of)
    {
        var most = of?.Lease ?? LeaseTimes.Standard;
        return new LeaseTimes(
            Least(Json.Seconds("spec", "lease", "handOverGraceSeconds"), most.HandOverGrace),
            Least(Json.Seconds("spec", "lease", "heartbeatSeconds"), most.Heartbeat),
            Least(Json.Seconds("spec", "lease", "timeToLiveSeconds"), most.TimeToLive));

        static TimeSpan Least(TimeSpan? asked, TimeSpan most) => asked is { } some && some < most ? some : most;
    }

    /// <summary>The same claim with another status, ready to be written to the status subresource.</summary>
    public TestbedClaim With(ClaimPhase phase, string reason, string message, Action<JsonObject>? change = null)
    {
        var json = (JsonObject)Json.DeepClone();
        var status = json.Ensure("status");
        (status["phase"], status["reason"], status["message"]) = (phase.ToString(), reason, message);
        change?.Invoke(status);
        return new TestbedClaim(json);
    }
}
