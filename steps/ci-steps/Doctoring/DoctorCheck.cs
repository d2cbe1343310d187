using CiSteps.Hosting;

namespace CiSteps.Cli.Doctoring;

/// <summary>What one look found.</summary>
/// <param name="Subject">What was looked at.</param>
/// <param name="IsWell">Whether the steps can work with it; null when it was not looked at, or is only worth knowing.</param>
/// <param name="Text">What was found.</param>
/// <param name="Advice">What to do; empty when nothing has to be done, or when the text says it.</param>
internal sealed record DoctorCheck(string Subject, bool? IsWell, string Text, string Advice = "")
{
    /// <summary><c>ok</c>, <c>not</c> or <c>-</c>, as the JSON summary has it.</summary>
    public string Verdict => IsWell switch { true => "ok", false => "not", _ => "-" };

    /// <summary>A failure as a look. Most say themselves what to do.</summary>
    public static DoctorCheck Failed(string subject, Exception failure, string advice = "") =>
        new(subject, false, failure.Message, advice);

    /// <summary>Whether it is a failure of what was looked at, and none of ours.</summary>
    public static bool IsFinding(Exception failure) =>
        failure is UnavailableException or UsageException or Clusters.ClusterApiException or Images.RegistryRefusalException;
}
