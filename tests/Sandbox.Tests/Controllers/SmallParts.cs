using System.Text.Json.Nodes;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Tests.Controllers;

/// <summary>Parts that decide without an engine.</summary>
public sealed class SmallParts
{
    [TestCase("nginx", "docker.io", "nginx:latest")]
    [TestCase("nginx:1.2", "docker.io", "nginx:1.2")]
    [TestCase("localhost:5000/a/b", "localhost:5000", "localhost:5000/a/b:latest")]
    [TestCase("registry.example.org/a/b:v1", "registry.example.org", "registry.example.org/a/b:v1")]
    [TestCase(
        "a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "docker.io",
        "a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    public void An_image_name_is_read(string text, string registry, string full)
    {
        var name = ImageName.Parse(text)!;
        Assert.That((name.Registry, name.Full), Is.EqualTo((registry, full)));
    }

    [TestCase("Nginx")]
    [TestCase("a b")]
    [TestCase("")]
    [TestCase("a//b")]
    [TestCase("a:b:c")]
    [TestCase("a@sha256:short")]
    public void What_is_no_image_name_is_refused(string text) => Assert.That(ImageName.Parse(text), Is.Null);

    [TestCase("250m", 0.25)]
    [TestCase("1.5", 1.5)]
    [TestCase("128Mi", 134217728)]
    [TestCase("1k", 1000)]
    [TestCase("2e3", 2000)]
    public void A_quantity_is_read(string text, double value) => Assert.That(Quantity.Parse(text), Is.EqualTo((decimal)value));

    [Test]
    public void The_crash_delay_doubles_to_five_minutes_and_is_forgotten_after_ten()
    {
        var back = new BackOff();
        var now = DateTimeOffset.UnixEpoch.AddDays(1);
        Assert.That(back.Left(now, now), Is.EqualTo(TimeSpan.Zero));
        var delays = new List<double>();
        for (var i = 0; i < 7; i++)
        {
            back.Next(now);
            delays.Add(back.Left(now, now).TotalSeconds);
        }

        Assert.That(delays, Is.EqualTo(new[] { 10.0, 20, 40, 80, 160, 300, 300 }));
        now = now.AddMinutes(11);
        Assert.That(back.Left(now, now), Is.EqualTo(TimeSpan.Zero));
    }

    [Test]
    public void Variables_expand_as_in_Kubernetes()
    {
        var values = new Dictionary<string, string> { ["A"] = "x" };
        Assert.That(ContainerEnvironment.Expand("$(A) $$(A) $(B) $A $", values), Is.EqualTo("x $(A) $(B) $A $"));
    }

    [Test]
    public void A_pod_goes_where_there_is_most_room_and_no_taint()
    {
        var node = (string name, string cpu, string more) =>
            (JsonObject)JsonNode.Parse(
                """
                {"metadata":{"name":"NAME"},"spec":{MORE},"status":{"allocatable":{"cpu":"CPU","memory":"4Gi","pods":"10"},
                 "conditions":[{"type":"Ready","status":"True"}]}}
                """
                    .Replace("NAME", name).Replace("CPU", cpu).Replace("MORE", more))!;
        var pod = (JsonObject)JsonNode.Parse("""{"spec":{"containers":[{"resources":{"requests":{"cpu":"1"}}}]}}""")!;
        var placed = (JsonObject)JsonNode.Parse(
            """{"spec":{"nodeName":"b","containers":[{"resources":{"requests":{"cpu":"1500m"}}}]}}""")!;
        Assert.That(Fit.Choose(pod, [node("a", "2", ""), node("b", "2", "")], [placed], []).Node, Is.EqualTo("a"));
        var taint = "\"taints\":[{\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]";
        var (none, why) = Fit.Choose(pod, [node("a", "2", taint), node("b", "2", "")], [placed], []);
        Assert.That(none, Is.Null);
        Assert.That(why, Does.StartWith("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}."));
        Assert.That(Fit.Choose(pod, [], [], []).Why, Is.EqualTo("no nodes available to schedule pods"));
    }

    [Test]
    public void Pods_spread_over_domains_and_stay_near_and_apart()
    {
        static JsonObject Of(string json) => (JsonObject)JsonNode.Parse(json)!;
        static JsonObject Node(string name, string zone) =>
            Of($$$"""
                {"metadata":{"name":"{{{name}}}","labels":{"zone":"{{{zone}}}"}},
                 "status":{"allocatable":{"cpu":"2"},"conditions":[{"type":"Ready","status":"True"}]}}
                """);
        static JsonObject Pod(string app, string node, string rules) =>
            Of($$$"""
                {"metadata":{"name":"{{{app}}}","namespace":"default","labels":{"app":"{{{app}}}"}},
                 "spec":{"nodeName":"{{{node}}}","containers":[]{{{rules}}}}}
                """);
        static string Affinity(string kind, string term) =>
            $$$"""
            ,"affinity":{"{{{kind}}}":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone",{{{term}}}}]}}
            """;
        const string web = "\"labelSelector\":{\"matchLabels\":{\"app\":\"web\"}}";
        JsonObject[] nodes = [Node("a", "east"), Node("b", "east"), Node("c", "west")];
        JsonObject[] placed = [
            Pod("web", "a", ""),
            Pod(
                "lone",
                "c",
                Affinity("podAntiAffinity", "\"labelSelector\":{},\"namespaceSelector\":{\"matchLabels\":{\"loud\":\"yes\"}}"))
        ];
        var space = Of("""{"metadata":{"name":"default","labels":{"loud":"yes"}}}""");
        (string? Node, string Why) Choose(JsonObject pod, params JsonObject[] namespaces) =>
            Fit.Choose(pod, nodes, placed, namespaces);

        Assert.That(Choose(Pod("web", "", Affinity("podAntiAffinity", web))).Node, Is.EqualTo("c"));
        Assert.That(Choose(Pod("db", "", Affinity("podAffinity", web))).Node, Is.EqualTo("b"));
        Assert.That(
            Choose(Pod("first", "", Affinity("podAffinity", web.Replace("web", "first", StringComparison.Ordinal)))).Node,
            Is.Not.Null,
            "the first of its group may go anywhere");
        Assert.That(
            Choose(Pod("db", "", Affinity("podAffinity", "\"namespaces\":[\"other\"]," + web))).Why,
            Does.Contain("3 node(s) didn't match pod affinity rules. "));
        var spread =
            $$$"""
            ,"topologySpreadConstraints":[{"topologyKey":"zone","maxSkew":1,"whenUnsatisfiable":"DoNotSchedule",{{{web}}}}]
            """;
        Assert.That(Choose(Pod("web", "", spread)).Node, Is.EqualTo("c"));
        Assert.That(
            Choose(Pod("web", "", spread), space).Why,
            Is.EqualTo(
                "0/3 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules, " +
                "2 node(s) didn't match pod topology spread constraints. "
                    + "no new claims to deallocate, preemption: 0/3 nodes are available: " +
                        "3 No preemption victims found for incoming pod."));
    }
}
