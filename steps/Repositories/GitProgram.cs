using System.Text;
using CiSteps.Hosting.Options;
using CiSteps.Hosting;

namespace CiSteps.Repositories;

/// <summary>The git program, for what the library does not do right: pushing to a repository on this machine's disk
/// (<see cref="RemotePush"/>), and fetching into a shallow clone, where the library forgets where the history is cut off and
/// leaves a clone that lacks commits.</summary>
public static class GitProgram
{
    internal static readonly IReadOnlyDictionary<string, string?> Quiet = new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["GIT_TERMINAL_PROMPT"] = "0",
        ["LC_ALL"] = "C",
        // A hook or a wrapper that started us may have set these for another repository.
        ["GIT_DIR"] = null,
        ["GIT_WORK_TREE"] = null,
        ["GIT_INDEX_FILE"] = null,
    };

    /// <summary>Runs git, which asks nobody and speaks English.</summary>
    /// <param name="folder">Working directory.</param>
    /// <param name="arguments">Arguments, unquoted.</param>
    /// <param name="environment">Further variables to set.</param>
    /// <param name="cancel">Ends it, then throws.</param>
    /// <returns>Exit code, standard output, standard error.</returns>
    /// <exception cref="UsageException">There is no git program on the path.</exception>
    public static Task<(int Exit, string Output, string Error)> CaptureAsync(
        string folder,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        CancellationToken cancel = default)
    {
        var variables = new Dictionary<string, string?>(Quiet, StringComparer.Ordinal);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) variables[name] = value;
        return ChildProcess.CaptureAsync(new("git", arguments, folder) { Environment = variables }, cancel);
    }

    /// <summary>Fetches references; the clone's own references stay as they are but for those that the refspecs name.</summary>
    /// <param name="folder">Folder that git is run in.</param>
    /// <param name="remote">The remote's name.</param>
    /// <param name="address">Its address as configured, for the rights.</param>
    /// <param name="url">Its address without credentials, for messages.</param>
    /// <param name="doing">What is being done, for messages.</param>
    /// <param name="refspecs">What goes where.</param>
    /// <param name="more">More options, such as <c>--deepen=50</c>.</param>
    /// <param name="access">Rights for https; null for none.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="time">Clock that all waiting and all limits go by.</param>
    /// <param name="log">Told of tries that failed.</param>
    /// <param name="cancel">Ends the program.</param>
    /// <exception cref="UnavailableException">The remote does not answer.</exception>
    /// <exception cref="UsageException">The rights do not suffice, or there is no git program.</exception>
    public static async Task FetchAsync(string folder, string remote, string address, string url, string doing,
        IEnumerable<string> refspecs,
        IReadOnlyList<string> more, RemoteAccess? access, TimeSpan limit, TimeProvider time, BuildLog log,
            CancellationToken cancel)
    {
        // An empty --refmap: what the clone remembers of the remote's branches stays.
        string[] arguments = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--refmap=", .. more, remote,
            .. refspecs];
        await Retry.Transient(error => error is UnavailableException, time, log).ExecuteAsync(async token =>
        {
            using var late = new CancellationTokenSource(limit, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, token);
            try
            {
                var (exit, _, error) = await ChildProcess.CaptureAsync(
                    new("git", arguments, folder) { Environment = Rights(address, access) }, either.Token).ConfigureAwait(false);
                if (exit != 0) throw GitFailure.Of(url, doing, error.Trim().ReplaceLineEndings("; "));
            }
            catch (OperationCanceledException) when (late.IsCancellationRequested && !token.IsCancellationRequested)
            {
                throw new UnavailableException(
                    "git-unreachable",
                    $"{doing} at \"{url}\": no end within {Durations.Show(limit)}; run the step again when it answers");
            }
            catch (UsageException missing) when (missing.Message.StartsWith("cannot start", StringComparison.Ordinal))
            {
                throw new UsageException($"the clone \"{folder}\" is shallow, and only the git program can fetch into it, " +
                    $"which is not here ({missing.Message}): " +
                    "install git, or let the checkout be complete (in TeamCity: teamcity.git.shallowClone=false)", missing);
            }
        }, cancel).ConfigureAwait(false);
    }

    // The token goes by the environment: arguments are for everybody to read.
    private static Dictionary<string, string?> Rights(string address, RemoteAccess? access)
    {
        var environment = new Dictionary<string, string?>(Quiet, StringComparer.Ordinal) { ["GIT_ASKPASS"] = "" };
        if (access is null || !address.StartsWith("http", StringComparison.OrdinalIgnoreCase)
            || !Uri.TryCreate(address, UriKind.Absolute, out var url)) return environment;
        environment["GIT_CONFIG_COUNT"] = "1";
        var server = url.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);
        environment["GIT_CONFIG_KEY_0"] = $"http.{server}/.extraHeader";
        environment["GIT_CONFIG_VALUE_0"] = "Authorization: Basic " +
            Convert.ToBase64String(Encoding.UTF8.GetBytes($"{access.User}:{access.Token}"));
        return environment;
    }
}
