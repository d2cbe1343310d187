using System.Text.Json.Nodes;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Pool;

/// <summary>A kind of testbed that one can ask for, as the object in the management cluster says.</summary>
internal sealed record TestbedClass(JsonObject Json)
{
    public string Name { get; } = Json.Name();

    /// <summary>Name of the provider: <c>static</c>, <c>namespace</c>.</summary>
    public string Provider { get; } = Json.Text("spec", "provider") ?? "static";

    /// <summary>How many testbeds are kept ready, where the provider makes them.</summary>
    public int Warm { get; } = (int)(Json.Number("spec", "warm") ?? 1);

    /// <summary>Failures in a row after which a testbed is quarantined.</summary>
    public int QuarantineAfter { get; } = (int)(Json.Number("spec", "quarantineAfter") ?? 3);

    /// <summary>How long one cleaning may take.</summary>
    public TimeSpan CleaningLimit { get; } = Json.Seconds("spec", "cleaningLimitSeconds") ?? TimeSpan.FromMinutes(5);

    /// <summary>The provider's own settings: the member of spec that bears its name.</summary>
    public JsonObject ProviderSpec { get; } = Json.At("spec", Json.Text("spec", "provider") ?? "static") as JsonObject ?? [];

    /// <summary>How many testbeds there are when all is well.</summary>
    public int Capacity => Provider == "namespace" ? Warm : (ProviderSpec["members"] as JsonArray)?.Count ?? 0;

    /// <summary>The class's lease times; a claim may ask for shorter ones.</summary>
    public LeaseTimes Lease { get; } = new(
        Json.Seconds("spec", "lease", "handOverGraceSeconds") ?? LeaseTimes.Standard.HandOverGrace,
        Json.Seconds("spec", "lease", "leaseDurationSeconds") ?? LeaseTimes.Standard.LeaseDuration,
        Json.Seconds("spec", "lease", "timeToLiveSeconds") ?? LeaseTimes.Standard.TimeToLive);
}
