namespace CiSteps.Clusters;

/// <summary>In which order a cluster can take kinds, and which of them live outside namespaces.</summary>
internal static class KindOrder
{
    private static readonly string[] Order =
    [
        "Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "IngressClass", "RuntimeClass",
        "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
        "ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget", "Secret", "ConfigMap", "PersistentVolume",
        "PersistentVolumeClaim",
        "Service", "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment", "StatefulSet",
        "HorizontalPodAutoscaler", "Job", "CronJob",
        "Ingress", "APIService", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ];

    private static readonly HashSet<string> ClusterWide = new(StringComparer.Ordinal)
    {
        "Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "IngressClass", "RuntimeClass", "ClusterRole",
        "ClusterRoleBinding", "PersistentVolume",
        "APIService", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration", "Node", "CSIDriver",
        "VolumeAttachment", "CertificateSigningRequest", "FlowSchema", "PriorityLevelConfiguration",
    };

    /// <summary>
    /// Position; what is not known (custom resources) comes last, after the definitions and controllers that make sense of it.
    /// </summary>
    public static int Rank(string kind) => Array.IndexOf(Order, kind) is >= 0 and var at ? at : Order.Length;

    /// <summary>Whether a built-in kind lives outside namespaces. Custom kinds are known to the server only.</summary>
    public static bool IsClusterWide(string kind) => ClusterWide.Contains(kind);
}
