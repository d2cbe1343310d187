using CiSteps.Hosting.Settings;

namespace CiSteps.Images;

/// <summary>Settings that every step takes that speaks to the registry.</summary>
public static class RegistrySettings
{
    /// <summary>An authority to trust besides the machine's own.</summary>
    public static Setting<string> CertificateAuthority { get; } = Setting.Text("registry-ca", "PEM file of the authority that signed the registry's certificate; default: the machine's own authorities only");
}
