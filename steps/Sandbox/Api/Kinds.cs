namespace CiSteps.Sandbox.Api;

/// <summary>The built-in kinds.</summary>
internal static class Kinds
{
    /// <summary>v1 Namespace.</summary>
    public static ResourceType Namespaces { get; } = Cluster("", "v1", "namespaces", "Namespace", "ns") with { HasStatus = true };
    /// <summary>v1 Pod.</summary>
    public static ResourceType Pods { get; } = Spaced("", "v1", "pods", "Pod", "po") with
    {
        HasStatus = true,
        HasGeneration = true,
        Categories = ["all"]
    };
    /// <summary>v1 Service.</summary>
    public static ResourceType Services { get; } = Spaced("", "v1", "services", "Service", "svc") with
    {
        HasStatus = true,
        Categories = ["all"]
    };
    /// <summary>v1 Endpoints.</summary>
    public static ResourceType Endpoints { get; } = Spaced(
        "", "v1", "endpoints", "Endpoints", "ep") with
    { Singular = "endpoints" };
    /// <summary>v1 ConfigMap.</summary>
    public static ResourceType ConfigMaps { get; } = Spaced("", "v1", "configmaps", "ConfigMap", "cm");
    /// <summary>v1 Secret.</summary>
    public static ResourceType Secrets { get; } = Spaced("", "v1", "secrets", "Secret");
    /// <summary>v1 ServiceAccount.</summary>
    public static ResourceType ServiceAccounts { get; } = Spaced("", "v1", "serviceaccounts", "ServiceAccount", "sa");
    /// <summary>v1 Event.</summary>
    public static ResourceType Events { get; } = Spaced("", "v1", "events", "Event", "ev");
    /// <summary>v1 ResourceQuota.</summary>
    public static ResourceType ResourceQuotas { get; } = Spaced(
        "", "v1", "resourcequotas", "ResourceQuota", "quota") with
    { HasStatus = true };
    /// <summary>v1 PersistentVolumeClaim.</summary>
    public static ResourceType PersistentVolumeClaims { get; } = Spaced(
        "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc") with
    { HasStatus = true };
    /// <summary>v1 Node.</summary>
    public static ResourceType Nodes { get; } = Cluster("", "v1", "nodes", "Node", "no") with { HasStatus = true };
    /// <summary>apps/v1 Deployment.</summary>
    public static ResourceType Deployments { get; } = Workload(
        "apps", "v1", "deployments", "Deployment", "deploy") with
    { HasScale = true };
    /// <summary>apps/v1 ReplicaSet.</summary>
    public static ResourceType ReplicaSets { get; } = Workload(
        "apps", "v1", "replicasets", "ReplicaSet", "rs") with
    { HasScale = true };
    /// <summary>apps/v1 StatefulSet.</summary>
    public static ResourceType StatefulSets { get; } = Workload(
        "apps", "v1", "statefulsets", "StatefulSet", "sts") with
    { HasScale = true };
    /// <summary>apps/v1 DaemonSet.</summary>
    public static ResourceType DaemonSets { get; } = Workload("apps", "v1", "daemonsets", "DaemonSet", "ds");
    /// <summary>apps/v1 ControllerRevision.</summary>
    public static ResourceType ControllerRevisions { get; } = Spaced("apps", "v1", "controllerrevisions", "ControllerRevision");
    /// <summary>batch/v1 Job.</summary>
    public static ResourceType Jobs { get; } = Workload("batch", "v1", "jobs", "Job");
    /// <summary>coordination.k8s.io/v1 Lease.</summary>
    public static ResourceType Leases { get; } = Spaced("coordination.k8s.io", "v1", "leases", "Lease");
    /// <summary>discovery.k8s.io/v1 EndpointSlice.</summary>
    public static ResourceType EndpointSlices { get; } = Spaced("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice");
    /// <summary>autoscaling/v1 Scale; a subresource only.</summary>
    public static ResourceType Scales { get; } = Spaced("autoscaling", "v1", "scales", "Scale");
    /// <summary>policy/v1 PodDisruptionBudget.</summary>
    public static ResourceType PodDisruptionBudgets { get; } = Spaced(
        "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb") with
    { HasStatus = true, HasGeneration = true };
    /// <summary>networking.k8s.io/v1 Ingress.</summary>
    public static ResourceType Ingresses { get; } = Plain(
        "networking.k8s.io", "v1", "ingresses", "Ingress", true, "ing") with
    { HasStatus = true, HasGeneration = true };
    /// <summary>networking.k8s.io/v1 NetworkPolicy.</summary>
    public static ResourceType NetworkPolicies { get; } = Plain(
        "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true, "netpol") with
    { HasGeneration = true };
    /// <summary>scheduling.k8s.io/v1 PriorityClass.</summary>
    public static ResourceType PriorityClasses { get; } = Plain(
        "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false, "pc") with
    { HasGeneration = true };
    /// <summary>rbac.authorization.k8s.io/v1 Role.</summary>
    public static ResourceType Roles { get; } = Spaced("rbac.authorization.k8s.io", "v1", "roles", "Role");
    /// <summary>rbac.authorization.k8s.io/v1 RoleBinding.</summary>
    public static ResourceType RoleBindings { get; } = Spaced("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding");
    /// <summary>rbac.authorization.k8s.io/v1 ClusterRole.</summary>
    public static ResourceType ClusterRoles { get; } = Cluster("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole");
    /// <summary>rbac.authorization.k8s.io/v1 ClusterRoleBinding.</summary>
    public static ResourceType ClusterRoleBindings { get; } = Cluster(
        "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding");
    /// <summary>apiextensions.k8s.io/v1 CustomResourceDefinition.</summary>
    public static ResourceType CustomResourceDefinitions { get; } = Cluster(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd",
        "crds") with
    { HasStatus = true, HasGeneration = true, Categories = ["api-extensions"] };

    /// <summary>All built-in kinds that are stored, in the order of discovery.</summary>
    public static IReadOnlyList<ResourceType> All { get; } =
    [
        ConfigMaps, Endpoints, Events, Namespaces, Nodes, PersistentVolumeClaims, Pods,
        ResourceQuotas, Secrets, ServiceAccounts, Services,
        ControllerRevisions, DaemonSets, Deployments, ReplicaSets, StatefulSets, Jobs,
        Leases, EndpointSlices, PodDisruptionBudgets, Ingresses, NetworkPolicies, PriorityClasses,
        ClusterRoleBindings, ClusterRoles, RoleBindings, Roles, CustomResourceDefinitions,
    ];

    private static ResourceType Plain(
        string group, string version, string plural, string kind, bool namespaced, params string[] shortNames) =>
        new(group, version, plural, kind.ToLowerInvariant(), kind, namespaced, shortNames);

    private static ResourceType Spaced(string group, string version, string plural, string kind, params string[] shortNames) =>
        Plain(group, version, plural, kind, true, shortNames);

    private static ResourceType Cluster(string group, string version, string plural, string kind, params string[] shortNames) =>
        Plain(group, version, plural, kind, false, shortNames);

    private static ResourceType Workload(string group, string version, string plural, string kind, params string[] shortNames) =>
        Plain(group, version, plural, kind, true, shortNames) with
        {
            HasStatus = true,
            HasGeneration = true,
            Categories = ["all"]
        };
}
