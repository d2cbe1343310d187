namespace CiSteps.Hosting;

/// <summary>How a CiSteps executable ends. The numbers are a contract with build servers and scripts.</summary>
public static class ExitCode
{
    /// <summary>Finished; also when there was nothing to do.</summary>
    public const int Done = 0;

    /// <summary>The step worked and the answer is no: tests failed, conflict, not certified.</summary>
    public const int Refused = 1;

    /// <summary>The command line, the configuration or a manifest is wrong; nothing was touched.</summary>
    public const int Usage = 2;

    /// <summary>An outside system did not answer after retries, or no testbed was free in time.</summary>
    public const int Unavailable = 3;

    /// <summary>Unforeseen; the full trace is printed.</summary>
    public const int Bug = 4;

    /// <summary>Asked to stop; cleaned up.</summary>
    public const int Cancelled = 130;
}
