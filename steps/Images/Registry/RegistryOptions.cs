using CiSteps.Hosting.Options;

namespace CiSteps.Images;

/// <summary>Settings that every step takes that speaks to the registry.</summary>
public static class RegistryOptions
{
    /// <summary>An authority to trust besides the machine's own.</summary>
    public static StepOption<string> CertificateAuthority { get; } = StepOption.Text("registry-ca",
        "PEM file of the authority that signed the registry's certificate; default: the machine's own authorities only");
}
