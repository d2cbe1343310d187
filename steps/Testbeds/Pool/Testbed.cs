using System.Text.Json.Nodes;

namespace CiSteps.Testbeds.Pool;

/// <summary>Whom a testbed is leased to.</summary>
/// <param name="Claim">The claim's name.</param>
/// <param name="ClaimUid">The claim's uid: a claim of the same name made later is another one.</param>
/// <param name="Number">The lease's number; rises with each lease of this testbed.</param>
/// <param name="Since">When it was assigned.</param>
/// <param name="Issued">Whether its credentials exist.</param>
internal sealed record TestbedLease(string Claim, string ClaimUid, long Number, DateTimeOffset Since, bool Issued);

/// <summary>
/// One testbed, as the object in the management cluster says. Read once: the object is not to be changed under it.
/// </summary>
internal sealed record Testbed(JsonObject Json)
{
    public string Name { get; } = Json.Name();

    public string Uid { get; } = Json.Uid();

    public string Class { get; } = Json.Text("spec", "class") ?? "";

    /// <summary>The provider's name of it: a member of a static class, a namespace.</summary>
    public string Member { get; } = Json.Text("spec", "member") ?? Json.Name();

    public TestbedPhase Phase { get; } = Enum.TryParse<TestbedPhase>(Json.Text("status", "phase"), out var phase)
        ? phase
        : TestbedPhase.Provisioning;

    /// <summary>When the phase began.</summary>
    public DateTimeOffset? Since { get; } = Json.Time("status", "since");

    /// <summary>The number of the latest lease; never falls.</summary>
    public long LeaseNumber { get; } = Json.Number("status", "leaseNumber") ?? 0;

    /// <summary>The lease, while leased or being revoked.</summary>
    public TestbedLease? Lease { get; } = Json.At("status", "lease") is JsonObject lease
        ? new TestbedLease(lease.Text("claim") ?? "", lease.Text("claimUid") ?? "", lease.Number("number") ?? 0,
            lease.Time("since") ?? default, lease.Flag("issued"))
        : null;

    /// <summary>Failures in a row.</summary>
    public int Failures { get; } = (int)(Json.Number("status", "failures") ?? 0);

    /// <summary>What happened last, for people.</summary>
    public string Message { get; } = Json.Text("status", "message") ?? "";

    /// <summary>Whether the inventory baseline has been taken.</summary>
    public bool HasBaseline { get; } = Json.Flag("status", "baseline", "taken");

    /// <summary>A person asked for another try (<c>kubectl annotate testbed NAME cisteps.dev/retry=now</c>).</summary>
    public bool IsRetryAsked { get; } = Json.Text("metadata", "annotations", PoolKinds.RetryAnnotation) is not null;

    public bool IsBeingDeleted { get; } = Json.Text("metadata", "deletionTimestamp") is not null;

    /// <summary>The name of the Secret that holds the credentials of a lease.</summary>
    public static string SecretOf(string testbed, long number) => $"{testbed}-lease-{number}";

    /// <summary>The same testbed in another phase, ready to be written to the status subresource.</summary>
    /// <exception cref="InvalidOperationException">The state machine has no such way.</exception>
    public Testbed In(TestbedPhase phase, DateTimeOffset now, string message, Action<JsonObject>? change = null)
    {
        if (!TestbedPhases.MayFollow(Phase, phase))
            throw new InvalidOperationException($"testbed \"{Name}\" cannot go from {Phase} to {phase}");
        var json = (JsonObject)Json.DeepClone();
        var status = json.Ensure("status");
        if (phase != Phase || status["phase"] is null) status["since"] = now.AsText();
        status["phase"] = phase.ToString();
        status["message"] = message;
        change?.Invoke(status);
        return new Testbed(json);
    }
}
