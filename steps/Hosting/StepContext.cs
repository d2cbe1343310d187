using CiSteps.Hosting.Evidence;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting;

/// <summary>What one invocation of a step works with.</summary>
public sealed class StepContext
{
    private readonly IReadOnlyDictionary<string, string> environment;

    internal StepContext(string step, string workTree, BuildLog log, TimeProvider time, OptionValues settings, bool dryRun)
    {
        (Step, WorkTree, Log, Time, Options, DryRun) = (step, workTree, log, time, settings, dryRun);
        environment = settings.Environment;
        Evidence = new EvidenceStore(Path.Combine(workTree, ".ci-steps", "evidence"), this);
    }

    /// <summary>The step's kebab-case name.</summary>
    public string Step { get; }

    /// <summary>Absolute path of the checkout.</summary>
    public string WorkTree { get; }

    /// <summary>Where the step speaks.</summary>
    public BuildLog Log { get; }

    /// <summary>The clock; the only one.</summary>
    public TimeProvider Time { get; }

    /// <summary>What was asked for, by option, environment, build server, file or default.</summary>
    public OptionValues Options { get; }

    /// <summary>Print the plan and touch nothing.</summary>
    public bool DryRun { get; }

    /// <summary>What earlier steps handed over.</summary>
    public EvidenceStore Evidence { get; }

    /// <summary>Whether a build server runs the step.</summary>
    public bool IsOnServer => environment.ContainsKey("TEAMCITY_VERSION");

    /// <summary>
    /// Which run of which chain this is; null until the step has read the work tree. Evidence can be written only then.
    /// </summary>
    public RunIdentity? Run { get; set; }

    /// <summary>
    /// A secret from the environment variable, or from the file that <c>NAME_FILE</c> names; hidden from the log from now on.
    /// Null when neither is set.
    /// </summary>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public string? FindSecret(string variable)
    {
        string? secret = null;
        if (environment.TryGetValue(variable, out var value) && value.Length > 0) secret = value;
        else if (environment.TryGetValue(variable + "_FILE", out var path) && path.Length > 0)
        {
            try
            {
                secret = File.ReadAllText(path).TrimEnd('\r', '\n');
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UsageException(
                    $"cannot read the file \"{path}\" that {variable}_FILE names: {error.Message}",
                    error)
                { Fault = Fault.Environment };
            }
        }
        if (secret is { Length: > 0 }) Log.Mask.Add(secret);
        return secret is { Length: > 0 } ? secret : null;
    }
}
