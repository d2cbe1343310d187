using System.Text.Json.Nodes;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Pool;

/// <summary>
/// One claim, as the object in the management cluster says. Read once: the object is not to be changed under it.
/// </summary>
internal sealed record TestbedClaim(JsonObject Json)
{
    public string Name { get; } = Json.Name();

    public string Uid { get; } = Json.Uid();

    public string Class { get; } = Json.Text("spec", "class") ?? "";

    /// <summary>Who asks, for people.</summary>
    public string Who { get; } = Json.Text("spec", "who") ?? "";

    public string Suite { get; } = Json.Text("spec", "suite") ?? "";

    public long Priority { get; } = Json.Number("spec", "priority") ?? 0;

    /// <summary>Claims with the same set are bound together or not at all.</summary>
    public string Set { get; } = Json.Text("spec", "set", "id") ?? Json.Uid();

    /// <summary>How many claims the set has.</summary>
    public int SetSize { get; } = (int)(Json.Number("spec", "set", "size") ?? 1);

    public DateTimeOffset Created { get; } = Json.Time("metadata", "creationTimestamp") ?? default;

    /// <summary>How long the claimant waits; null: for ever.</summary>
    public TimeSpan? Wait { get; } = Json.Seconds("spec", "waitSeconds");

    public ClaimPhase Phase { get; } = Enum.TryParse<ClaimPhase>(Json.Text("status", "phase"), out var phase)
        ? phase
        : ClaimPhase.Pending;

    /// <summary>The testbed that it got.</summary>
    public string? Testbed { get; } = Json.Text("status", "testbed");

    /// <summary>The lease's number.</summary>
    public long Lease { get; } = Json.Number("status", "lease") ?? 0;

    /// <summary>Name of the Secret with the lease's kubeconfig.</summary>
    public string? Secret { get; } = Json.Text("status", "secret");

    public DateTimeOffset? BoundAt { get; } = Json.Time("status", "boundAt");

    /// <summary>When it expired.</summary>
    public DateTimeOffset? EndedAt { get; } = Json.Time("status", "endedAt");

    /// <summary>Why it is as it is: a word for programs.</summary>
    public string? Reason { get; } = Json.Text("status", "reason");

    /// <summary>Why it is as it is, for people.</summary>
    public string Message { get; } = Json.Text("status", "message") ?? "";

    /// <summary>Who works with the testbed; null until it is picked up.</summary>
    public string? Holder { get; } = Json.Text("spec", "holder", "identity");

    /// <summary>The holder's last sign of life, by the holder's clock: only its change means something to others.</summary>
    public string? RenewTime { get; } = Json.Text("spec", "holder", "renewTime");

    public bool IsBeingDeleted { get; } = Json.Text("metadata", "deletionTimestamp") is not null;

    private TimeSpan? AskedGrace { get; } = Json.Seconds("spec", "lease", "handOverGraceSeconds");

    private TimeSpan? AskedDuration { get; } = Json.Seconds("spec", "lease", "leaseDurationSeconds");

    private TimeSpan? AskedTimeToLive { get; } = Json.Seconds("spec", "lease", "timeToLiveSeconds");

    /// <summary>The lease times: what the claim asks for, at most what the class allows.</summary>
    public LeaseTimes Times(TestbedClass? of)
    {
        var most = of?.Lease ?? LeaseTimes.Standard;
        return new LeaseTimes(
            Least(AskedGrace, most.HandOverGrace),
            Least(AskedDuration, most.LeaseDuration),
            Least(AskedTimeToLive, most.TimeToLive));

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
