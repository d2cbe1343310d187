using System.Text.Json.Nodes;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Controllers;

/// <summary>The arithmetic of rolling updates.</summary>
public sealed class DeploymentRolloutTests
{
    [TestCase(4, "\"25%\"", "\"25%\"", 1, 1)]
    [TestCase(3, "\"25%\"", "\"25%\"", 1, 0)]
    [TestCase(1, "\"25%\"", "\"25%\"", 1, 0)]
    [TestCase(10, "\"30%\"", "2", 3, 2)]
    [TestCase(5, "0", "0", 0, 1)]
    [TestCase(5, "0", "\"10%\"", 0, 1, Description = "rounded down to nothing, yet something must move")]
    public void Surge_rounds_up_and_unavailable_down(
        int replicas, string surge, string unavailable, int expectedSurge, int expectedUnavailable)
    {
        var deployment = JsonNode.Parse(
            $$$"""
            {"spec":{"replicas":{{{replicas}}},
             "strategy":{"rollingUpdate":{"maxSurge":{{{surge}}},"maxUnavailable":{{{unavailable}}} } } } }
            """)!;
        Assert.That(DeploymentRollout.Limits(deployment), Is.EqualTo((expectedSurge, expectedUnavailable)));
    }

    [Test]
    public void Every_roll_ends_and_never_leaves_its_limits(
        [Range(1, 6)] int replicas, [Range(0, 2)] int surge, [Range(0, 2)] int unavailable)
    {
        if (surge == 0 && unavailable == 0)
            unavailable = 1;
        var random = new Random((replicas * 100) + (surge * 10) + unavailable);
        var old = new ReplicaCount("old", replicas, replicas, replicas);
        var newest = new ReplicaCount("new", 0, 0, 0);
        for (var step = 0; step < 500 && !(newest.Available == replicas && old.Present == 0); step++)
        {
            newest = newest with { Wanted = DeploymentRollout.NewSize(false, replicas, surge, newest, [old, newest]) };
            var sizes = DeploymentRollout.OldSizes(replicas, unavailable, newest, [old]);
            old = old with { Wanted = sizes.GetValueOrDefault("old", old.Wanted) };
            old = old with { Present = old.Wanted, Available = Math.Min(old.Available, old.Wanted) };
            Assert.That(old.Wanted + newest.Wanted, Is.LessThanOrEqualTo(replicas + surge));
            Assert.That(old.Available + newest.Available, Is.GreaterThanOrEqualTo(replicas - unavailable));
            // Any of the new pods may become available next, or none.
            newest = newest with
            {
                Present = newest.Wanted,
                Available = Math.Min(newest.Wanted, newest.Available + random.Next(2))
            };
        }

        Assert.That((newest.Available, old.Present), Is.EqualTo((replicas, 0)));
    }

    [Test]
    public void Unhealthy_old_replicas_go_first()
    {
        var sizes = DeploymentRollout.OldSizes(3, 1, new("new", 1, 1, 0), [new("sick", 1, 1, 0), new("well", 2, 2, 2)]);
        Assert.That(sizes, Is.EqualTo(new Dictionary<string, int> { ["sick"] = 0 }));
    }

    [Test]
    public void A_changed_total_is_spread_in_proportion()
    {
        var sizes = DeploymentRollout.Proportional(20, [new("new", 5, 5, 5), new("old", 5, 5, 5)]);
        Assert.That(sizes.Values.Sum(), Is.EqualTo(20));
        Assert.That(sizes["new"], Is.EqualTo(10));
    }

    [Test]
    public void Template_hashes_ignore_order_nulls_and_the_hash_label()
    {
        var one = JsonNode.Parse("""{"metadata":{"labels":{"a":"b"},"creationTimestamp":null},"spec":{"x":1,"y":[1,2]}}""");
        var other = JsonNode.Parse("""{"spec":{"y":[1,2],"x":1},"metadata":{"labels":{"pod-template-hash":"zzz","a":"b"}}}""");
        Assert.That(PodTemplates.Hash(one), Is.EqualTo(PodTemplates.Hash(other)));
        Assert.That(PodTemplates.Same(one, other));
        Assert.That(PodTemplates.Hash(one, 1), Is.Not.EqualTo(PodTemplates.Hash(one)));
        Assert.That(
            PodTemplates.Same(one, JsonNode.Parse("""{"metadata":{"labels":{"a":"b"}},"spec":{"x":1,"y":[2,1]}}""")),
            Is.False);
    }
}
