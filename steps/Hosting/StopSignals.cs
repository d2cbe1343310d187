using System.Runtime.InteropServices;

namespace CiSteps.Hosting;

/// <summary>
/// SIGINT and SIGTERM of this process. The first one asks to stop; neither it nor any further one ends the process, so that the
/// verdict and the evidence are always written.
/// </summary>
#pragma warning disable CA1001 // It lives as long as the process.
internal sealed class StopSignals
#pragma warning restore CA1001
{
    private static readonly Lock one = new();
    private static StopSignals? taken;

    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;
    private readonly string name;
    private int count;

    private StopSignals(string name)
    {
        this.name = name;
        registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Take),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Take)];
    }

    /// <summary>Takes the signals until the process ends: one that comes as it returns must not change its exit code.</summary>
    /// <param name="name">Who says that it is stopping already.</param>
    /// <returns>Cancelled at the first signal.</returns>
    public static CancellationToken TakeForThisProcess(string name)
    {
        lock (one) return (taken ??= new StopSignals(name)).source.Token;
    }

    private void Take(PosixSignalContext signal)
    {
        signal.Cancel = true;
        // What hangs on the token runs elsewhere: the next signal is answered meanwhile, and a fault there does not end the process.
        if (Interlocked.Increment(ref count) == 1) _ = source.CancelAsync();
        else Console.Error.WriteLine($"{name}: asked to stop again ({signal.Signal}); it is stopping already");
    }
}
