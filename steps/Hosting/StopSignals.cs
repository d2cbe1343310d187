using System.Runtime.InteropServices;

namespace CiSteps.Hosting;

/// <summary>
/// SIGINT and SIGTERM of this process. The first one asks to stop; neither it nor any further one ends the process, so that the
/// verdict and the evidence are always written.
/// </summary>
internal static class StopSignals
{
    private static readonly Lock One = new();
    private static readonly CancellationTokenSource Source = new();
    private static PosixSignalRegistration[]? Taken;
    private static int Count;

    /// <summary>Takes the signals until the process ends: one that comes as it returns must not change its exit code.</summary>
    /// <param name="name">Who says that it is stopping already.</param>
    /// <returns>Cancelled at the first signal.</returns>
    public static CancellationToken TakeForThisProcess(string name)
    {
        lock (One)
        {
            Taken ??= [PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Take(name, signal)),
                PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Take(name, signal))];
            return Source.Token;
        }
    }

    private static void Take(string name, PosixSignalContext signal)
    {
        signal.Cancel = true;
        // What hangs on the token runs elsewhere: the next signal is answered meanwhile, and a fault there does not end the
        // process.
        if (Interlocked.Increment(ref Count) == 1) _ = Source.CancelAsync();
        else Console.Error.WriteLine($"{name}: asked to stop again ({signal.Signal}); it is stopping already");
    }
}
