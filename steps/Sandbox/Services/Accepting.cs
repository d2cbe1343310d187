using System.Net.Sockets;

namespace CiSteps.Sandbox.Services;

/// <summary>Takes connections until told to stop, whatever becomes of single ones.</summary>
internal static class Accepting
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <param name="accept">Takes the next connection.</param>
    /// <param name="serve">Gets each; must not throw and not take long.</param>
    /// <param name="time">The clock of the pause after an error.</param>
    /// <param name="stop">Ends it; the task completes then.</param>
    public static async Task RunAsync(
        Func<CancellationToken, ValueTask<Socket>> accept, Action<Socket> serve, TimeProvider time, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                try
                {
                    serve(await accept(stop).ConfigureAwait(false));
                }
                catch (SocketException) when (!stop.IsCancellationRequested)
                {
                    // A client that gave up, or no file handles at this moment; both pass.
                    await Task.Delay(Pause, time, stop).ConfigureAwait(false);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
