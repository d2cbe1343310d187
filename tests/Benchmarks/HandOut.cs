using System.Text.Json.Nodes;
using CiSteps.Testbeds.Pool;

namespace CiSteps.Benchmarks;

/// <summary>
/// The pool's decision with 1,000 testbeds and 500 waiting claims: who gets what, whose lease ends, who waits for what.
/// </summary>
internal static class HandOut
{
    private const int Testbeds = 1000, Free = 100, Waiting = 500, Classes = 10;

    public static Task RunAsync(Table table)
    {
        var now = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        var state = State(now);
        var (times, processor) = (new List<TimeSpan>(), new List<TimeSpan>());
        var given = 0;
        for (var round = 0; round < 1500; round++)
        {
            var used = Environment.CpuUsage.TotalTime;
            var taken = Table.TimeOf(() => given = PoolPlan.For(state, now).Assignments.Count);
            if (round < 500) continue;
            times.Add(taken);
            processor.Add(Environment.CpuUsage.TotalTime - used);
        }
        if (given != Free) throw new InvalidOperationException($"{given} testbeds were given out, and {Free} are free");
        table.Add(
            $"hand-out decision, {Testbeds} testbeds, {Waiting} waiting claims, p99 (median {Table.Show(Table.Median(times))})",
            Table.Show(Table.Percentile(times, 99)),
            "the bound of the design",
            "50 ms",
            Table.Percentile(times, 99).TotalMilliseconds / 50);
        table.Add(
            "the same in processor time, which other programs do not lengthen, p99",
            Table.Show(Table.Percentile(processor, 99)),
            "the bound of the design",
            "50 ms",
            Table.Percentile(processor, 99).TotalMilliseconds / 50);
        return Task.CompletedTask;
    }

    private static PoolState State(DateTimeOffset now)
    {
        var classes = Enumerable.Range(0, Classes).Select(number => new TestbedClass(new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = ClassOf(number) },
            ["spec"] = new JsonObject
            {
                ["provider"] = "static",
                ["static"] = new JsonObject
                {
                    ["members"] = new JsonArray([.. Enumerable
                        .Range(0, Testbeds / Classes)
                        .Select(member => (JsonNode)new JsonObject { ["name"] = $"t-{(member * Classes) + number}" })])
                },
            },
        })).ToList();
        var testbeds = new List<Testbed>();
        var claims = new List<TestbedClaim>();
        for (var number = 0; number < Testbeds; number++)
        {
            var leased = number >= Free;
            var status = new JsonObject { ["phase"] = leased ? "Leased" : "Free", ["leaseNumber"] = 7, ["since"] = now.AsText() };
            if (leased)
            {
                status["lease"] = new JsonObject
                {
                    ["claim"] = $"held-{number}",
                    ["claimUid"] = $"uid-held-{number}",
                    ["number"] = 7,
                    ["since"] = now.AsText(),
                    ["issued"] = true
                };
                claims.Add(Claim(
                    $"held-{number}",
                    number,
                    now,
                    new JsonObject
                    {
                        ["phase"] = "Bound",
                        ["testbed"] = $"t-{number}",
                        ["lease"] = 7,
                        ["boundAt"] = now.AsText()
                    }));
            }
            testbeds.Add(new(new JsonObject
            {
                ["metadata"] = new JsonObject { ["name"] = $"t-{number}", ["uid"] = $"uid-t-{number}" },
                ["spec"] = new JsonObject { ["class"] = ClassOf(number), ["member"] = $"t-{number}" },
                ["status"] = status,
            }));
        }
        for (var number = 0; number < Waiting; number++)
            claims.Add(Claim($"waits-{number}", number, now - TimeSpan.FromSeconds(number), []));
        return new(classes, testbeds, claims, new Dictionary<string, TimeSpan>());
    }

    private static TestbedClaim Claim(string name, int number, DateTimeOffset created, JsonObject status) => new(new JsonObject
    {
        ["metadata"] = new JsonObject { ["name"] = name, ["uid"] = "uid-" + name, ["creationTimestamp"] = created.AsText() },
        ["spec"] = new JsonObject
        {
            ["class"] = ClassOf(number),
            ["who"] = name,
            ["suite"] = name,
            ["priority"] = number % 3,
            ["set"] = new JsonObject { ["id"] = name, ["size"] = 1 }
        },
        ["status"] = status,
    });

    private static string ClassOf(int number) => $"class-{number % Classes}";
}
