using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Tests.ApiObjects;

/// <summary>The rules that hold for every object, asked in process.</summary>
internal sealed class ObjectsInProcess
{
    private ClusterApi api = null!;

    [SetUp]
    public void Bring_up() => api = new ClusterApi();

    [TearDown]
    public void Take_down() => api.Dispose();

    [Test]
    public void A_stale_update_is_refused_and_the_newer_state_stays()
    {
        var created = api.Create(Kinds.ConfigMaps, "default", Map("a", "1"));
        var newer = (JsonObject)created.DeepClone();
        newer["data"]!["k"] = "2";
        api.Update(Kinds.ConfigMaps, newer);
        created["data"]!["k"] = "3";

        var refusal = Assert.Throws<ApiException>(() => api.Update(Kinds.ConfigMaps, created))!;

        Assert.That((refusal.Code, refusal.Reason), Is.EqualTo((409, "Conflict")));
        Assert.That((string?)api.Get(Kinds.ConfigMaps, "default", "a")!["data"]!["k"], Is.EqualTo("2"));
    }

    [Test]
    public void An_update_that_changes_nothing_makes_no_new_version()
    {
        var created = api.Create(Kinds.ConfigMaps, "default", Map("a", "1"));

        var same = api.Update(Kinds.ConfigMaps, created);

        Assert.That((string?)same["metadata"]!["resourceVersion"], Is.EqualTo((string?)created["metadata"]!["resourceVersion"]));
    }

    [Test]
    public void A_generated_name_keeps_its_prefix_and_is_new_each_time()
    {
        JsonObject Make() =>
            api.Create(
                Kinds.ConfigMaps, "default", new JsonObject { ["metadata"] = new JsonObject { ["generateName"] = "run-" } });
        var (one, two) = ((string)Make()["metadata"]!["name"]!, (string)Make()["metadata"]!["name"]!);

        Assert.That(one, Does.StartWith("run-").And.Length.EqualTo(9));
        Assert.That(two, Is.Not.EqualTo(one));
    }

    [Test]
    public void The_generation_counts_changes_of_the_specification_only()
    {
        var deployment = api.Create(Kinds.Deployments, "default", Deployment("web"));
        deployment["metadata"]!["labels"] = new JsonObject { ["x"] = "y" };
        deployment = api.Update(Kinds.Deployments, deployment);
        deployment["status"] = new JsonObject { ["replicas"] = 1 };
        deployment = api.UpdateStatus(Kinds.Deployments, deployment);
        Assert.That((long)deployment["metadata"]!["generation"]!, Is.EqualTo(1));

        deployment["spec"]!["replicas"] = 3;

        Assert.That((long)api.Update(Kinds.Deployments, deployment)["metadata"]!["generation"]!, Is.EqualTo(2));
    }

    [Test]
    public void An_ordinary_update_leaves_the_status_and_a_status_update_leaves_the_rest()
    {
        var deployment = api.Create(Kinds.Deployments, "default", Deployment("web"));
        deployment["status"] = new JsonObject { ["replicas"] = 7 };
        deployment["spec"]!["replicas"] = 2;
        var updated = api.Update(Kinds.Deployments, deployment);
        Assert.That(updated["status"]!["replicas"], Is.Null);

        updated["status"] = new JsonObject { ["replicas"] = 7 };
        updated["spec"]!["replicas"] = 9;
        var reported = api.UpdateStatus(Kinds.Deployments, updated);

        Assert.That(((long)reported["status"]!["replicas"]!, (long)reported["spec"]!["replicas"]!), Is.EqualTo((7L, 2L)));
    }

    [Test]
    public void A_finalizer_keeps_a_deleted_object_until_it_is_taken_off()
    {
        var map = Map("a", "1");
        map["metadata"]!["finalizers"] = new JsonArray("example.com/hold");
        api.Create(Kinds.ConfigMaps, "default", map);
        api.Delete(Kinds.ConfigMaps, "default", "a");
        var held = api.Get(Kinds.ConfigMaps, "default", "a")!;
        Assert.That(held["metadata"]!["deletionTimestamp"], Is.Not.Null);

        held["metadata"]!.AsObject().Remove("finalizers");
        api.Update(Kinds.ConfigMaps, held);

        Assert.That(api.Get(Kinds.ConfigMaps, "default", "a"), Is.Null);
    }

    [Test]
    public void What_a_deployment_leaves_out_is_filled_in()
    {
        var spec = api.Create(Kinds.Deployments, "default", Deployment("web"))["spec"]!;

        Assert.That((string?)spec["strategy"]!["rollingUpdate"]!["maxSurge"], Is.EqualTo("25%"));
        Assert.That((long)spec["progressDeadlineSeconds"]!, Is.EqualTo(600));
        Assert.That((string?)spec["template"]!["spec"]!["containers"]![0]!["imagePullPolicy"], Is.EqualTo("IfNotPresent"));
    }

    [Test]
    public void Mistakes_are_told_field_by_field()
    {
        var deployment = Deployment("web");
        deployment["spec"]!["replicas"] = -1;
        deployment["spec"]!["template"]!["metadata"]!["labels"]!["app"] = "other";

        var refusal = Assert.Throws<ApiException>(() => api.Create(Kinds.Deployments, "default", deployment))!;

        Assert.That(refusal.Code, Is.EqualTo(422));
        Assert.That(
            refusal.Causes.Select(c => c.Field), Is.EquivalentTo(new[] { "spec.replicas", "spec.template.metadata.labels" }));
    }

    [Test]
    public void A_quota_refuses_what_it_has_no_room_for()
    {
        api.Create(
            Kinds.ResourceQuotas,
            "default",
            (JsonObject)JsonNode.Parse("""{"metadata":{"name":"q"},"spec":{"hard":{"count/configmaps":"1"}}}""")!);
        api.Create(Kinds.ConfigMaps, "default", Map("a", "1"));

        var refusal = Assert.Throws<ApiException>(() => api.Create(Kinds.ConfigMaps, "default", Map("b", "1")))!;

        Assert.That(
            (refusal.Code, refusal.Message),
            Is.EqualTo(
                (403,
                    "configmaps \"b\" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: " +
                    "count/configmaps=1, limited: count/configmaps=1")));
    }

    [Test]
    public async Task A_watch_resumes_where_it_was_told_to_and_sees_each_change_once()
    {
        var first = api.Create(Kinds.ConfigMaps, "default", Map("a", "1"));
        var from = long.Parse((string)first["metadata"]!["resourceVersion"]!);
        first["data"]!["k"] = "2";
        api.Update(Kinds.ConfigMaps, first);
        api.Delete(Kinds.ConfigMaps, "default", "a");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));

        var seen = new List<WatchEventType>();
        await foreach (var change in api.WatchAsync(Kinds.ConfigMaps, "default", from, limit.Token))
        {
            seen.Add(change.Type);
            if (seen.Count == 2)
                break;
        }

        Assert.That(seen, Is.EqualTo(new[] { WatchEventType.Modified, WatchEventType.Deleted }));
    }

    [Test]
    public async Task A_watch_from_a_forgotten_version_is_expired()
    {
        var map = api.Create(Kinds.ConfigMaps, "default", Map("a", "0"));
        for (var i = 1; i < 5000; i++)
        {
            map["data"]!["k"] = i.ToString();
            map = api.Update(Kinds.ConfigMaps, map);
        }

        var refusal = (await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (var _ in api.WatchAsync(Kinds.ConfigMaps, "default", 30, CancellationToken.None))
                Assert.Fail("an event came although the version is forgotten");
        }))!;

        Assert.That((refusal.Code, refusal.Reason), Is.EqualTo((410, "Expired")));
    }

    private static JsonObject Map(string name, string value) =>
        new() { ["metadata"] = new JsonObject { ["name"] = name }, ["data"] = new JsonObject { ["k"] = value } };

    private static JsonObject Deployment(string name) => (JsonObject)JsonNode.Parse("""
        {"metadata":{"name":"NAME"},"spec":{"selector":{"matchLabels":{"app":"NAME"}},
         "template":{"metadata":{"labels":{"app":"NAME"}},"spec":{"containers":[{"name":"c","image":"registry.example/web:1"}]}}}}
        """.Replace("NAME", name))!;
}
