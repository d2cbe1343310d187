using CiSteps.Clusters;

namespace CiSteps.Testbeds.Pool;

/// <summary>The pool's custom resources and the names that tie things together.</summary>
internal static class PoolKinds
{
    public const string Group = "cisteps.dev";
    public const string ApiVersion = Group + "/v1alpha1";

    public const string ChainHashLabel = Group + "/chain-hash";
    public const string TestbedLabel = Group + "/testbed";
    public const string AccountLabel = Group + "/lease-account";
    public const string RetryAnnotation = Group + "/retry";

    /// <summary>Namespace on a testbed cluster for the accounts of leases.</summary>
    public const string LeaseNamespace = "cisteps-leases";

    public static readonly Kind Class = new(ApiVersion, "TestbedClass", "testbedclasses", true);
    public static readonly Kind Testbed = new(ApiVersion, "Testbed", "testbeds", true);
    public static readonly Kind Claim = new(ApiVersion, "TestbedClaim", "testbedclaims", true);
    public static readonly Kind ClusterRoleBinding = new(
        "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false);
    public static readonly Kind RoleBinding = new("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true);
}

/// <summary>How a pool is run.</summary>
public sealed record PoolOptions
{
    /// <summary>Namespace of the management cluster with classes, testbeds, claims and the leases' credentials.</summary>
    public string Namespace { get; init; } = "cisteps-testbeds";

    /// <summary>Namespace of the management cluster with the testbeds' own credentials, for the controller only.</summary>
    public string PrivateNamespace { get; init; } = "cisteps-pool";

    /// <summary>Apply the custom resource definitions and namespaces at start.</summary>
    public bool Install { get; init; } = true;

    /// <summary>Whether classes may name kubeconfig files on the controller's machine.</summary>
    public bool AllowPaths { get; init; }

    /// <summary>Testbeds worked on at the same time (cleaning, revoking, issuing).</summary>
    public int Workers { get; init; } = 16;

    /// <summary>How long revoked credentials may go on working before the testbed is quarantined.</summary>
    public TimeSpan RevocationLimit { get; init; } = TimeSpan.FromMinutes(2);
}
