using System.Text.Json.Nodes;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Testbeds.Tests;

/// <summary>Pool objects as an API server would give them.</summary>
internal static class PoolObjects
{
    public static DateTimeOffset Now { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static TestbedClass Class(string name, params string[] members) => new(new JsonObject
    {
        ["metadata"] = new JsonObject { ["name"] = name },
        ["spec"] = new JsonObject
        {
            ["provider"] = "static",
            ["static"] = new JsonObject
            {
                ["members"] = new JsonArray([.. members.Select(member => (JsonNode)new JsonObject { ["name"] = member })])
            },
        },
    });

    public static Testbed Testbed(
        string name,
        TestbedPhase phase = TestbedPhase.Free,
        string its = "small",
        TestbedClaim? of = null,
        bool issued = true,
        long number = 1,
        int sinceMinutes = 0)
    {
        var status = new JsonObject
        {
            ["phase"] = phase.ToString(),
            ["leaseNumber"] = number,
            ["since"] = (Now - TimeSpan.FromMinutes(sinceMinutes)).AsText()
        };
        if (of is not null)
            status["lease"] = new JsonObject
            {
                ["claim"] = of.Name,
                ["claimUid"] = of.Uid,
                ["number"] = number,
                ["since"] = Now.AsText(),
                ["issued"] = issued
            };
        return new(new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = name, ["uid"] = "uid-" + name },
            ["spec"] = new JsonObject { ["class"] = its, ["member"] = name },
            ["status"] = status,
        });
    }

    public static TestbedClaim Claim(
        string name,
        string its = "small",
        int priority = 0,
        int ageSeconds = 0,
        string? set = null,
        int size = 1,
        int? wait = null) =>
        new(new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["uid"] = "uid-" + name,
                ["creationTimestamp"] = (Now - TimeSpan.FromSeconds(ageSeconds)).AsText()
            },
            ["spec"] = Spec(name, its, priority, set, size, wait),
            ["status"] = new JsonObject(),
        });

    public static TestbedClaim Bound(
        this TestbedClaim claim, string testbed, long lease = 1, int minutesAgo = 0, string? holder = null)
    {
        var bound = claim.With(ClaimPhase.Bound, "Bound", "", status =>
        {
            (status["testbed"], status["lease"]) = (testbed, lease);
            status["boundAt"] = (Now - TimeSpan.FromMinutes(minutesAgo)).AsText();
        });
        if (holder is not null)
            bound.Json["spec"]!["holder"] = new JsonObject { ["identity"] = holder, ["renewTime"] = Now.AsText() };
        return new(bound.Json);
    }

    public static PoolPlan Plan(
        IReadOnlyList<TestbedClass> classes,
        IReadOnlyList<Testbed> testbeds,
        IReadOnlyList<TestbedClaim> claims,
        params (string Claim, TimeSpan Silence)[] silence) =>
        PoolPlan.For(
            new PoolState(classes, testbeds, claims, silence.ToDictionary(pair => "uid-" + pair.Claim, pair => pair.Silence)),
            Now);

    private static JsonObject Spec(string name, string its, int priority, string? set, int size, int? wait)
    {
        var spec = new JsonObject
        {
            ["class"] = its,
            ["who"] = "build of " + name,
            ["suite"] = name,
            ["priority"] = priority,
            ["set"] = new JsonObject { ["id"] = set ?? name, ["size"] = size },
        };
        if (wait is { } seconds) spec["waitSeconds"] = seconds;
        return spec;
    }
}
