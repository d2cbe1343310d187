namespace CiSteps.Images;

/// <summary>
/// A registry understood a request and refused it for a reason that neither waiting nor other credentials cure: a tag that must
/// not be overwritten, deletion switched off, a manifest that it does not take.
/// </summary>
/// <param name="status">HTTP status.</param>
/// <param name="code">The registry's error code, such as <c>TAG_INVALID</c>; empty when it gave none.</param>
/// <param name="message">What was asked, and the registry's own text.</param>
public sealed class RegistryRefusalException(int status, string code, string message) : Exception(message)
{
    /// <summary>HTTP status.</summary>
    public int Status { get; } = status;

    /// <summary>The registry's error code; empty when it gave none.</summary>
    public string Code { get; } = code;
}
