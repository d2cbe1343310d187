namespace CiSteps.Hosting;

/// <summary>
/// Bad input: the command line, the configuration or a manifest is wrong. Ends the step with <see cref="ExitCode.Usage"/>;
/// nothing was touched.
/// </summary>
/// <param name="message">What is wrong, which one in quotes, where, and what to do about it.</param>
/// <param name="inner">The parser's own exception, if there is one.</param>
public sealed class UsageException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Whose input it was, where that is known: the change's, or that of who set the step up.</summary>
    public Fault Fault { get; init; } = Fault.Unknown;
}

/// <summary>
/// An outside system did not answer, or not as its protocol says, after retries. Ends the step with
/// <see cref="ExitCode.Unavailable"/>.
/// </summary>
/// <param name="reason">Stable kebab-case word for the problem's identity, such as <c>registry</c>.</param>
/// <param name="message">What was asked of whom, what came back, and what to do about it.</param>
/// <param name="inner">What was caught; null where it was found without an exception.</param>
public sealed class UnavailableException(string reason, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Stable kebab-case word that names the system or the kind of failure.</summary>
    public string Reason { get; } = reason;
}

/// <summary>What was handed in must not be used, wherever it is read: the step's answer is no. Ends the step with <see
/// cref="ExitCode.Refused"/>.</summary>
/// <param name="reason">Stable kebab-case word for the problem's identity, such as <c>bad-signature</c>.</param>
/// <param name="message">What is refused, why, and what to do about it.</param>
public sealed class RefusedException(string reason, string message) : Exception(message)
{
    /// <summary>Stable kebab-case word that names the kind of refusal.</summary>
    public string Reason { get; } = reason;
}
