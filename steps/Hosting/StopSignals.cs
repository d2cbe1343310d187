using System.Runtime.InteropServices;

namespace CiSteps.Hosting;

/// <summary>
/// SIGINT and SIGTERM of this process. The first one asks to stop; neither it nor any further one ends the process, so that the
/// verdict and the evidence are always written.
/// </summary>
internal static class StopSignals
{
    private static readonly Lock one = new();
    private static readonly CancellationTokenSource source = new();
    private static PosixSignalRegistration[]? taken;
    private static int count;

    /// <summary>Takes the signals until the process ends: one that comes as it returns must not change its exit code.</summary>
    /// <param name="name">Who says that it is stopping already.</param>
    /// <returns>Cancelled at the first signal.</returns>
    public static CancellationToken TakeForThisProcess(string name)
    {
        lock (one)
        {
            taken ??= [PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Take(name, signal)),
                PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Take(name, signal))];
            return source.Token;
        }
    }

    private static void Take(string name, PosixSignalContext signal)
    {
        signal.Cancel = true;
        // What hangs on the token runs elsewhere: the next signal is answered meanwhile, and a fault there does not end the process.
        if (Interlocked.Increment(ref count) == 1) _ = source.CancelAsync();
        else Console.Error.WriteLine($"{name}: asked to stop again ({signal.Signal}); it is stopping already");
    }
}
