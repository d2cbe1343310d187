namespace CiSteps.Images;

/// <summary>What looking for a registry's credentials came to.</summary>
/// <param name="Credential">What was found; null when nothing was, or nothing could be.</param>
/// <param name="Source">Where it was found, for people; empty when it was not.</param>
/// <param name="Trouble">Why it could not be looked for where docker's configuration says, a sentence; null when it
/// could.</param>
internal sealed record CredentialLookUp(RegistryCredential? Credential, string Source = "", string? Trouble = null)
{
    /// <summary>Why there are none and what to do: the end of a sentence that says that they are wanted.</summary>
    public string WhyNone => Trouble is null
        ? $"none are given: set {RegistryCredentials.UserVariable} and {RegistryCredentials.PasswordVariable}, or log in with "
            + "docker login"
        : $"getting them failed: {Trouble}; mend that, or set {RegistryCredentials.UserVariable} and "
            + $"{RegistryCredentials.PasswordVariable}";
}
