using System.Runtime.CompilerServices;
using CiSteps.Hosting;

namespace CiSteps.Clusters;

/// <content>What containers wrote.</content>
public sealed partial class Cluster
{
    /// <summary>The last lines of a container, of now or before its restart; empty when there are none to be had.</summary>
    /// <param name="ns">Namespace.</param>
    /// <param name="pod">Pod.</param>
    /// <param name="container">Container.</param>
    /// <param name="previous">The run before the last restart.</param>
    /// <param name="lines">How many lines at most.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<IReadOnlyList<string>> TailAsync(
        string ns, string pod, string container, bool previous, int lines, CancellationToken cancel)
    {
        var url = WithQuery(Kinds.Pod.Path(ns, pod) + "/log", ("container", container), ("previous", previous ? "true" : null),
            ("tailLines", lines.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        var text = new List<string>();
        try
        {
            await foreach (var line in LinesAsync(url, cancel).ConfigureAwait(false)) text.Add(line);
        }
        catch (ClusterApiException)
        {
            // Not started yet, no earlier run, already removed: there is simply no log.
        }
        catch (UnavailableException) when (!cancel.IsCancellationRequested)
        {
            // A node that does not answer must not hide what else is known.
        }
        return text;
    }

    /// <summary>
    /// The lines of a container from its beginning as they come, each once, through dropped connections, until the container has
    /// ended.
    /// </summary>
    /// <param name="ns">Namespace.</param>
    /// <param name="pod">Pod.</param>
    /// <param name="container">Container; it must have started.</param>
    /// <param name="hasEnded">Whether the container is known to have ended: a stream that closes is otherwise opened
    /// again.</param>
    /// <param name="cancel">Ends it.</param>
    public async IAsyncEnumerable<string> FollowAsync(
        string ns, string pod, string container, Func<bool> hasEnded, [EnumeratorCancellation] CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(hasEnded);
        // Timestamps tell after a reconnect which lines were seen; the server counts sinceTime in whole seconds only.
        string? lastStamp = null;
        var atLastStamp = 0;
        while (true)
        {
            var ended = hasEnded();
            var url = WithQuery(
                Kinds.Pod.Path(ns, pod) + "/log",
                ("container", container),
                ("follow", "true"),
                ("timestamps", "true"),
                ("sinceTime", lastStamp is null ? null : WholeSecond(lastStamp)));
            var skipAtLast = atLastStamp;
            var open = LinesAsync(url, cancel).GetAsyncEnumerator(cancel);
            var any = false;
            try
            {
                while (true)
                {
                    try
                    {
                        if (!await open.MoveNextAsync().ConfigureAwait(false)) break;
                    }
                    catch (ClusterApiException)
                    {
                        yield break;
                    }
                    var (stamp, text) = Split(open.Current);
                    if (stamp.Length > 0 && lastStamp is not null)
                    {
                        var order = string.CompareOrdinal(Padded(stamp), Padded(lastStamp));
                        if (order < 0) continue;
                        if (order == 0 && skipAtLast > 0)
                        {
                            skipAtLast--;
                            continue;
                        }
                    }
                    if (stamp.Length > 0)
                    {
                        (lastStamp, atLastStamp) = stamp == lastStamp ? (stamp, atLastStamp + 1) : (stamp, 1);
                        skipAtLast = 0;
                    }
                    any = true;
                    yield return text;
                }
            }
            finally
            {
                await open.DisposeAsync().ConfigureAwait(false);
            }
            // A container that had ended before the stream was opened has said all.
            if (ended) yield break;
            if (!any) await Task.Delay(TimeSpan.FromMilliseconds(500), Time, cancel).ConfigureAwait(false);
        }
    }

    private static (string Stamp, string Text) Split(string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        if (space < 0) space = line.Length;
        var stamp = line[..space];
        return stamp.Length >= 20 && stamp[4] == '-' && stamp[10] == 'T'
            ? (stamp, space < line.Length ? line[(space + 1)..] : "")
            : ("", line);
    }

    // "…:05Z", "…:05.1Z" and "…:05.123456789Z" in one comparable form; offsets other than Z do not occur within one node's
    // stream.
    private static string Padded(string stamp)
    {
        var whole = stamp[..19];
        var fraction = new string([.. stamp.Skip(19).SkipWhile(letter => letter == '.').TakeWhile(char.IsAsciiDigit)]);
        return whole + "." + fraction.PadRight(9, '0');
    }

    private static string WholeSecond(string stamp) => stamp[..19] + (stamp.EndsWith('Z') ? "Z" : stamp[^6..]);
}
