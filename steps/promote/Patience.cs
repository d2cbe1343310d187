using CiSteps.Hosting;
using CiSteps.Hosting.Options;

namespace CiSteps.Promote;

/// <summary>
/// Goes on asking while the world is away. An outage is not a verdict about an image, so it is waited for; what it took from the
/// question's own time is given back, because the question is asked anew.
/// </summary>
/// <param name="limit">How long an outage may last.</param>
/// <param name="log">Told of it.</param>
/// <param name="time">The clock.</param>
internal sealed class Patience(TimeSpan limit, BuildLog log, TimeProvider time)
{
    private readonly TimeSpan between = limit < TimeSpan.FromSeconds(4) ? limit / 4 : TimeSpan.FromSeconds(1);

    /// <summary>Asks until there is an answer.</summary>
    /// <exception cref="UnavailableException">The outage lasts longer than the limit, or is one that waiting does not
    /// end.</exception>
    public async Task<T> AskAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        long? since = null;
        while (true)
        {
            try
            {
                return await ask(cancel);
            }
            catch (UnavailableException gone) when (MayPass(gone))
            {
                since ??= time.GetTimestamp();
                var left = limit - time.GetElapsedTime(since.Value);
                if (left <= TimeSpan.Zero) throw;
                log.Warning($"{gone.Message}; that says nothing about the image, so it is asked again for " +
                    $"{Durations.Show(left)}");
                await Task.Delay(left < between ? left : between, time, cancel);
            }
        }
    }

    /// <summary>The same for what has no answer.</summary>
    public Task DoAsync(Func<CancellationToken, Task> act, CancellationToken cancel) => AskAsync(async token =>
    {
        await act(token);
        return true;
    }, cancel);

    // Rights and credentials come by a person, not by waiting.
    private static bool MayPass(UnavailableException gone) => gone.Reason is not ("cluster-forbidden" or "cluster-unauthorized");
}
