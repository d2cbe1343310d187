namespace CiSteps.Images;

/// <summary>What a registry wants to know: user and password, or an identity token. Never printed.</summary>
/// <param name="User">User name; empty with an identity token.</param>
/// <param name="Password">Password; empty with an identity token.</param>
/// <param name="IdentityToken">An OAuth2 refresh token, if the registry gave one; else null.</param>
public sealed record RegistryCredential(string User, string Password, string? IdentityToken = null)
{
    /// <inheritdoc />
    public override string ToString() => $"credential of \"{User}\"";
}
