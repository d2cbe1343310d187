using System.Diagnostics;
using System.Security.Cryptography;

namespace CiSteps.ImageBuild.Tests;

/// <summary>A <c>sleep</c> in a build that is known by its length: nobody else on the machine sleeps for so long.</summary>
internal sealed record SleepingProcess(int Seconds)
{
    public static SleepingProcess New() => new(RandomNumberGenerator.GetInt32(100_000, 999_999));

    /// <summary>Waits until it has ended.</summary>
    public async Task EndAsync(CancellationToken cancel)
    {
        while (Process.GetProcessesByName("sleep").Any(IsIt)) await Task.Delay(100, cancel);
    }

    /// <summary>As a command.</summary>
    public override string ToString() => $"sleep {Seconds}";

    private bool IsIt(Process process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/cmdline").Contains($"{Seconds}", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // It has ended.
            return false;
        }
    }
}
