using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>The roles that every cluster has from the start.</summary>
internal static class DefaultRoles
{
    private static readonly string[] Read = ["get", "list", "watch"];
    private static readonly string[] Write = ["create", "delete", "deletecollection", "patch", "update"];
    private static readonly string[] All = [.. Read, .. Write];

    public static void Create(ClusterApi api)
    {
        Role(api, "cluster-admin", Rule(["*"], ["*"], ["*"]), new PolicyRule(["*"], [], [], [], ["*"]));
        Binding(api, "cluster-admin", "Group", "system:masters");
        Role(api, "system:discovery", new PolicyRule(["get"], [], [], [],
            [
                "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version",
                "/version/"
            ]));
        Binding(api, "system:discovery", "Group", "system:authenticated");
        Role(
            api,
            "system:public-info-viewer",
            new PolicyRule(["get"], [], [], [], ["/healthz", "/livez", "/readyz", "/version", "/version/"]));
        Binding(api, "system:public-info-viewer", "Group", "system:authenticated", "system:unauthenticated");
        Role(api, "system:basic-user",
            Rule(["create"], ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            Rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]));
        Binding(api, "system:basic-user", "Group", "system:authenticated");
        Role(
            api,
            "system:service-account-issuer-discovery",
            new PolicyRule(
                ["get"],
                [],
                [],
                [],
                [
                    "/.well-known/openid-configuration",
                    "/.well-known/openid-configuration/",
                    "/openid/v1/jwks",
                    "/openid/v1/jwks/"
                ]));
        Binding(api, "system:service-account-issuer-discovery", "Group", "system:serviceaccounts");
        Role(
            api,
            "system:auth-delegator",
            Rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
            Rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]));

        Role(api, "system:aggregate-to-view", Label("view"), View());
        Role(api, "system:aggregate-to-edit", Label("edit"), Edit());
        Role(api, "system:aggregate-to-admin", Label("admin"), Admin());
        Aggregate(api, "view", new JsonObject { [Aggregation("edit")] = "true" }, "view");
        Aggregate(api, "edit", new JsonObject { [Aggregation("admin")] = "true" }, "edit", "view");
        Aggregate(api, "admin", [], "admin", "edit", "view");
    }

    private static PolicyRule[] View() =>
    [
        Rule(
            Read,
            [""],
            [
                "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
                "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status"
            ]),
        Rule(
            Read,
            [""],
            [
                "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status",
                "replicationcontrollers/status", "resourcequotas", "resourcequotas/status"
            ]),
        Rule(Read, [""], ["namespaces"]),
        Rule(Read, ["discovery.k8s.io"], ["endpointslices"]),
        Rule(
            Read,
            ["apps"],
            [
                "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
                "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
                "statefulsets/scale", "statefulsets/status"
            ]),
        Rule(Read, ["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        Rule(Read, ["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        Rule(Read, ["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"]),
    ];

    private static PolicyRule[] Edit() =>
    [
        Rule(Read, [""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
        Rule(["impersonate"], [""], ["serviceaccounts"]),
        Rule(Write, [""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
        Rule(["create"], [""], ["pods/eviction"]),
        Rule(
            Write,
            [""],
            [
                "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale",
                "secrets", "serviceaccounts", "services", "services/proxy"
            ]),
        Rule(["create"], [""], ["serviceaccounts/token"]),
        Rule(
            Write,
            ["apps"],
            [
                "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
                "statefulsets", "statefulsets/scale"
            ]),
        Rule(Write, ["batch"], ["cronjobs", "jobs"]),
        Rule(Write, ["policy"], ["poddisruptionbudgets"]),
        Rule(Write, ["networking.k8s.io"], ["ingresses", "networkpolicies"]),
        Rule(All, ["coordination.k8s.io"], ["leases"]),
    ];

    private static PolicyRule[] Admin() =>
    [
        Rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
        Rule(All, ["rbac.authorization.k8s.io"], ["rolebindings", "roles"]),
    ];

    private static PolicyRule Rule(string[] verbs, string[] groups, string[] resources) => new(verbs, groups, resources, [], []);

    private static string Aggregation(string role) => "rbac.authorization.k8s.io/aggregate-to-" + role;

    private static JsonObject Label(string role) => new() { [Aggregation(role)] = "true" };

    private static void Role(ClusterApi api, string name, params PolicyRule[] rules) => Role(api, name, [], rules);

    private static void Role(ClusterApi api, string name, JsonObject labels, params PolicyRule[] rules) =>
        api.Create(
            Kinds.ClusterRoles,
            null,
            new JsonObject
            {
                ["metadata"] = Metadata(name, labels),
                ["rules"] = new JsonArray([.. rules.Select(r => (JsonNode?)r.ToJson())])
            });

    private static void Aggregate(ClusterApi api, string name, JsonObject labels, params string[] from) =>
        api.Create(Kinds.ClusterRoles, null, new JsonObject
        {
            ["metadata"] = Metadata(name, labels),
            ["aggregationRule"] = new JsonObject
            {
                ["clusterRoleSelectors"] = new JsonArray([.. from.Select(
                    f => (JsonNode?)new JsonObject { ["matchLabels"] = Label(f) })]),
            },
            ["rules"] = new JsonArray([.. from
                .SelectMany(f => f == "view" ? View() : f == "edit" ? Edit() : Admin())
                .Select(r => (JsonNode?)r.ToJson())]),
        });

    private static void Binding(ClusterApi api, string role, string kind, params string[] names) =>
        api.Create(Kinds.ClusterRoleBindings, null, new JsonObject
        {
            ["metadata"] = Metadata(role, []),
            ["roleRef"] = new JsonObject
            {
                ["apiGroup"] = "rbac.authorization.k8s.io",
                ["kind"] = "ClusterRole",
                ["name"] = role
            },
            ["subjects"] = new JsonArray([.. names.Select(
                n => (JsonNode?)new JsonObject { ["apiGroup"] = "rbac.authorization.k8s.io", ["kind"] = kind, ["name"] = n })]),
        });

    private static JsonObject Metadata(string name, JsonObject labels)
    {
        labels = (JsonObject)labels.DeepClone();
        labels["kubernetes.io/bootstrapping"] = "rbac-defaults";
        return new JsonObject
        {
            ["name"] = name,
            ["labels"] = labels,
            ["annotations"] = new JsonObject { ["rbac.authorization.kubernetes.io/autoupdate"] = "true" },
        };
    }
}
