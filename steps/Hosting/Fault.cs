namespace CiSteps.Hosting;

/// <summary>Whose fault it was that a step did not do what it should, and so who can do something about it.</summary>
public enum Fault
{
    /// <summary>Not known: its owners and who looks after the platform have to look.</summary>
    Unknown,

    /// <summary>Nobody's: there was no failure, or somebody wanted it so.</summary>
    Nobody,

    /// <summary>What was built, tested or deployed: its sources, tests, manifests, the pipeline file.</summary>
    Change,

    /// <summary>
    /// Something outside was not to be had: registry, cluster, testbed, origin. It says nothing about the change.
    /// </summary>
    World,

    /// <summary>
    /// What the step was given to work with: agent, options, credentials, the order of steps, the step's own program.
    /// </summary>
    Environment,
}

/// <summary>The words for <see cref="Fault"/> in files and messages.</summary>
public static class Faults
{
    /// <summary>The word: <c>unknown</c>, <c>nobody</c>, <c>change</c>, <c>world</c> or <c>environment</c>.</summary>
    public static string Word(this Fault fault) => fault switch
    {
        Fault.Nobody => "nobody",
        Fault.Change => "change",
        Fault.World => "world",
        Fault.Environment => "environment",
        _ => "unknown",
    };

    /// <summary>Reads the word; whatever else there is, or nothing, is <see cref="Fault.Unknown"/>.</summary>
    public static Fault Read(string? word) => Enum.GetValues<Fault>().FirstOrDefault(fault => fault.Word() == word);
}
