using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using LibGit2Sharp;

namespace CiSteps.Repositories.Transport;

/// <summary>One call to a remote: for how long its silence is borne, and what went wrong on the way. The library hands its
/// transports no object of ours, but it calls them on the thread that called it.</summary>
/// <param name="remote">The other side.</param>
/// <param name="doing">What is being done, for messages.</param>
/// <param name="cancel">Stops it.</param>
internal sealed class Exchange(RemotePeer remote, string doing, CancellationToken cancel)
{
    [ThreadStatic]
    private static Exchange? OfThisThread;

    private readonly List<IDisposable> opened = [];

    /// <summary>The exchange that this thread is in.</summary>
    public static Exchange Current => OfThisThread ?? throw new InvalidOperationException("no exchange is under way on " +
        "this thread");

    public RemotePeer Remote => remote;

    public string Doing => doing;

    /// <summary>What a transport met; the library itself keeps no more than that something failed.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>What the server answered to a push.</summary>
    public PushReport Report { get; } = new();

    /// <summary>Calls the library, and turns what it or a transport met into our own exceptions.</summary>
    public T Run<T>(Func<T> call)
    {
        OfThisThread = this;
        try
        {
            return call();
        }
        catch (LibGit2SharpException error)
        {
            cancel.ThrowIfCancellationRequested();
            if (Failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
            if (error is NonFastForwardException) throw;
            throw GitFailure.Of(remote.Url, doing, error.Message.TrimEnd('.'), error);
        }
        finally
        {
            OfThisThread = null;
            // What was opened last reads from what was opened before. The other way round the rest of an answer was read while
            // its disposal read it too, and waited for a connection that was at rest again.
            for (var at = opened.Count - 1; at >= 0; at--) opened[at].Dispose();
        }
    }

    /// <summary>Something that ends with the exchange.</summary>
    public T Opened<T>(T one)
        where T : IDisposable
    {
        opened.Add(one);
        return one;
    }

    /// <summary>Does a transport's part; what fails is kept, because the library drops it.</summary>
    /// <returns>What the library is told: 0, or -1 for a failure.</returns>
    public int Guard(Action part)
    {
        if (Failure is not null) return -1;
        try
        {
            part();
            return 0;
        }
        catch (Exception error)
        {
            Failure = error is IOException or HttpRequestException ? Broken(error.Message, error) : error;
            return -1;
        }
    }

    /// <summary>Waits for the other side's next bytes, but no longer than its silence is borne.</summary>
    public T Wait<T>(Func<CancellationToken, Task<T>> call)
    {
        using var late = new CancellationTokenSource(remote.Silence, remote.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancel);
        try
        {
            return call(either.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new UnavailableException("git-unreachable",
                $"{doing} at \"{remote.Url}\": no answer within {Durations.Show(remote.Silence)}; run the step again when " +
                $"it answers");
        }
    }

    /// <summary>The other side does not answer, or not as git's protocol says.</summary>
    public UnavailableException Broken(string said, Exception? cause = null) =>
        new("git", $"{doing} at \"{remote.Url}\" failed: {said.Trim().TrimEnd('.')}; run the step again when it answers", cause);
}
