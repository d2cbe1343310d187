using System.Text.Json.Nodes;

namespace CiSteps.Clusters.Tests;

/// <summary>A namespace with one Deployment in it, as JSON; tests change what they are about.</summary>
internal sealed class Scene
{
    public const string Namespace = "shop";
    public const string Wanted = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    public const string Old = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    public static RolloutTarget Target { get; } = new(
        "Deployment", Namespace, "greeter", "greeter", [Wanted], TimeSpan.FromMinutes(5));

    public static string DeploymentPath => Kinds.Deployment.Path(Namespace, "greeter");

    /// <summary>The Deployment at its second revision.</summary>
    public static JsonObject Deployment(
        int replicas = 2, int updated = 2, int ready = 2, int observed = 2, int? total = null) => Json($$"""
        {"apiVersion":"apps/v1","kind":"Deployment",
         "metadata":{"name":"greeter","namespace":"shop","uid":"d-1","generation":2,
          "annotations":{"deployment.kubernetes.io/revision":"2"} },
         "spec":{"replicas":{{replicas}},"selector":{"matchLabels":{"app":"greeter"} },
          "template":{"metadata":{"labels":{"app":"greeter"} },
           "spec":{"containers":[{"name":"greeter","image":"r/greeter@{{Wanted}}"}]} } },
         "status":{"observedGeneration":{{observed}},"replicas":{{total ?? replicas}},"updatedReplicas":{{updated}},
          "readyReplicas":{{ready}},"availableReplicas":{{ready}} } }
        """);

    public static JsonObject ReplicaSet(string uid = "rs-2", string revision = "2", string digest = Wanted) => Json($$"""
        {"metadata":{"name":"{{uid}}","namespace":"shop","uid":"{{uid}}",
         "annotations":{"deployment.kubernetes.io/revision":"{{revision}}"},"ownerReferences":[{"uid":"d-1","controller":true}],
         "labels":{"pod-template-hash":"{{uid}}"} },
         "spec":{"template":{"spec":{"containers":[{"name":"greeter","image":"r/greeter@{{digest}}"}]} } },"status":{} }
        """);

    public static JsonObject Pod(string name, string set = "rs-2", string digest = Wanted, bool ready = true) => Json($$"""
        {"metadata":{"name":"{{name}}","namespace":"shop","uid":"{{name}}",
         "labels":{"app":"greeter","pod-template-hash":"{{set}}"},"ownerReferences":[{"uid":"{{set}}","controller":true}]},
         "spec":{"containers":[{"name":"greeter","image":"r/greeter@{{digest}}"}]},
         "status":{"phase":"Running","conditions":[{"type":"Ready","status":"{{(ready ? "True" : "False")}}"}],
           "containerStatuses":[{"name":"greeter","ready":{{(ready ? "true" : "false")}},"restartCount":0,
            "imageID":"mirror/greeter@{{digest}}","state":{"running":{} } }]} }
        """);

    /// <summary>A pod whose container waits.</summary>
    public static JsonObject WaitingPod(string name, string reason, string message, int restarts = 0)
    {
        var pod = Pod(name, ready: false);
        pod["status"]!["phase"] = "Pending";
        pod["status"]!["containerStatuses"]![0]!["state"] = new JsonObject
        {
            ["waiting"] = new JsonObject { ["reason"] = reason, ["message"] = message }
        };
        pod["status"]!["containerStatuses"]![0]!["imageID"] = "";
        pod["status"]!["containerStatuses"]![0]!["restartCount"] = restarts;
        return pod;
    }

    public static JsonObject Service() =>
        Json("""{"metadata":{"name":"greeter","namespace":"shop","uid":"s-1"},"spec":{"selector":{"app":"greeter"} } }""");

    public static JsonObject Slice(params string[] pods) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = "greeter-x",
            ["namespace"] = Namespace,
            ["uid"] = "slice-1",
            ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = "greeter" }
        },
        ["endpoints"] = new JsonArray([.. pods.Select(
            pod => (JsonNode)new JsonObject
            {
                ["conditions"] = new JsonObject { ["ready"] = true },
                ["targetRef"] = new JsonObject { ["kind"] = "Pod", ["uid"] = pod }
            })]),
    };

    public static JsonObject Event(string uid, string reason, string message, string type = "Warning") => new()
    {
        ["metadata"] = new JsonObject { ["name"] = $"{uid}.{reason}", ["namespace"] = Namespace, ["uid"] = $"e-{uid}-{reason}" },
        ["type"] = type,
        ["reason"] = reason,
        ["message"] = message,
        ["lastTimestamp"] = "2026-01-01T00:00:00Z",
        ["involvedObject"] = new JsonObject { ["kind"] = "Pod", ["name"] = uid, ["uid"] = uid },
    };

    public static JsonObject Json(string text) => (JsonObject)JsonNode.Parse(text)!;

    /// <summary>What a roll-out's watches know.</summary>
    public static RolloutView View(
        JsonObject? workload,
        IEnumerable<JsonObject> sets,
        IEnumerable<JsonObject> pods,
        IEnumerable<JsonObject>? events = null,
        IEnumerable<JsonObject>? services = null,
        IEnumerable<JsonObject>? slices = null,
        IEnumerable<JsonObject>? nodes = null)
    {
        var view = new RolloutView();
        Fill("workload", workload is null ? [] : [workload]);
        Fill("replicasets", sets);
        Fill("pods", pods);
        Fill("events", events ?? []);
        Fill("services", services ?? []);
        Fill("endpointslices", slices ?? []);
        Fill("nodes", nodes ?? []);
        view.SetAbsent("controllerrevisions");
        return view;

        void Fill(string topic, IEnumerable<JsonObject> items)
        {
            view.Take(topic, new Change(ChangeKind.Relisting, []));
            foreach (var item in items) view.Take(topic, new Change(ChangeKind.Present, item));
            view.Take(topic, new Change(ChangeKind.Synced, []));
        }
    }
}
