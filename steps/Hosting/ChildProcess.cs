using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting;

/// <summary>The one way to start a program: arguments as a list, both streams read as they come, the whole process tree ended on
/// stop.</summary>
public static class ChildProcess
{
    // A line without an end is handed on in pieces of this many characters, so that a child cannot fill memory.
    private const int LongestLine = 65536;
    private const string SetSession = "/usr/bin/setsid";
    private const string UsualPath = "/usr/local/bin:/usr/bin:/bin";

    /// <summary>Runs a program to its end.</summary>
    /// <param name="command">The program, and how it is run.</param>
    /// <param name="cancel">Ends the process and all that it started, then throws.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="UsageException">The program cannot be started, or the folder is not there.</exception>
    /// <exception cref="ChildLimitException">It ran or wrote longer than it may.</exception>
    /// <exception cref="ChildStoppedException">It was stopped.</exception>
    public static Task<int> RunAsync(ChildCommand command, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(command);
        var onLine = command.OnLine ?? ((_, _) => { });
        return RunAsync(
            command, (reader, isError, onText) => ReadLinesAsync(reader, line => onLine(line, isError), onText), cancel);
    }

    /// <summary>Runs a program and gives back all of its output as it was written.</summary>
    /// <param name="command">The program, and how it is run; its <see cref="ChildCommand.OnLine"/> is not called.</param>
    /// <param name="cancel">Ends the process and all that it started, then throws.</param>
    /// <returns>Exit code, standard output, standard error.</returns>
    /// <exception cref="UsageException">The program cannot be started, or the folder is not there.</exception>
    /// <exception cref="ChildLimitException">It ran or wrote longer than it may.</exception>
    /// <exception cref="ChildStoppedException">It was stopped.</exception>
    public static async Task<(int Exit, string Output, string Error)> CaptureAsync(
        ChildCommand command, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(command);
        var output = new StringBuilder();
        var error = new StringBuilder();
        var exit = await RunAsync(
            command,
            (reader, isError, onText) => ReadTextAsync(reader, isError ? error : output, onText),
            cancel).ConfigureAwait(false);
        lock (output)
            lock (error)
                return (exit, output.ToString(), error.ToString());
    }

    /// <summary>Starts a program whose streams the caller speaks to; it has none of this process's streams and stays when this
    /// process ends.</summary>
    /// <param name="command">The program, its environment and its folder; the rest is the caller's.</param>
    /// <exception cref="UsageException">The program cannot be started, or the folder is not there.</exception>
    public static Process Start(ChildCommand command)
    {
        ArgumentNullException.ThrowIfNull(command);
        return Start(command, Describe(command, Located(command), command.Arguments));
    }

    /// <summary>Where a program is; null when it is nowhere.</summary>
    /// <param name="program">Its name, or a path.</param>
    /// <param name="folder">What a relative path, and a relative folder of the search path, is relative to.</param>
    /// <param name="path">The search path: the child's, not this process's.</param>
    public static string? Find(string program, string folder, string? path)
    {
        ArgumentNullException.ThrowIfNull(program);
        string[] endings = OperatingSystem.IsWindows() && !Path.HasExtension(program) ? [".exe", ""] : [""];
        var folders = IsPath(program)
            ? [""]
            : (path ?? UsualPath).Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return folders
            .SelectMany(_ => endings, (place, ending) => Path.GetFullPath(Path.Combine(folder, place, program + ending)))
            .FirstOrDefault(IsProgram);
    }

    private static async Task<int> RunAsync(
        ChildCommand command, Func<TextReader, bool, Action<int>, Task> read, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var path = Located(command);
        IReadOnlyList<string> arguments = command.Arguments;
        // Started by this process it leads no group yet, so that setsid becomes the child and starts none.
        if (command.HasOwnSession && File.Exists(SetSession)) (path, arguments) = (SetSession, [path, .. arguments]);
        var tree = new ProcessTree();
        using var watch = command.EndsWithThis ? DeathWatch.Open(tree) : null;
        var start = watch is null
            ? Describe(command, path, arguments)
            : Describe(command, DeathWatch.Program, watch.Arguments(path, arguments));
        // The watch itself is without the mark: it ends what has it.
        if (watch is null) tree.Mark(start);
        else ProcessTree.KeepMark(start);
        using var process = Start(command, start);
        watch?.Started();
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var time = new CancellationTokenSource(command.TimeLimit ?? Timeout.InfiniteTimeSpan, command.Time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel, time.Token);
        var feeding = FeedAsync(process, command.Input, () => tree.End(process), stopping.Token);
        var written = 0L;
        var streams = Task.WhenAll(ReadAsync(process.StandardOutput, false), ReadAsync(process.StandardError, true));

        // When nobody reads on, the child would wait for ever with a full pipe.
        async Task ReadAsync(TextReader reader, bool isError)
        {
            try
            {
                await read(reader, isError, count =>
                {
                    if (Interlocked.Add(ref written, count) > command.OutputLimit)
                        throw new ChildLimitException($"wrote more than {command.OutputLimit} characters");
                    command.OnOutput?.Invoke();
                }).ConfigureAwait(false);
            }
            catch
            {
                tree.End(process);
                throw;
            }
        }

        try
        {
            await process.WaitForExitAsync(ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (cancel.IsCancellationRequested)
                await RunningProcess.AskAsync(process, command.Grace, command.Time, CancellationToken.None).ConfigureAwait(false);
            tree.End(process);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            await stopping.CancelAsync().ConfigureAwait(false);
            await DrainAsync(Task.WhenAll(streams, feeding)).ConfigureAwait(false);
            if (cancel.IsCancellationRequested) throw new ChildStoppedException(process.ExitCode, cancel);
            throw new ChildLimitException($"did not end within {Durations.Show(command.TimeLimit!.Value)}");
        }
        await stopping.CancelAsync().ConfigureAwait(false);
        if (command.OnLeft is { } onLeft && tree.EndRest() is { Count: > 0 } left) onLeft(left);
        // A background grandchild may keep the streams open for ever: its output is read while the child lives, and a moment
        // longer.
        await DrainAsync(streams).ConfigureAwait(false);
        if (await feeding.ConfigureAwait(false) is { } failure)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        return process.ExitCode;
    }

    // The runtime itself would look beside this program and in its own folder first.
    private static string Located(ChildCommand command)
    {
        var (program, folder) = (command.Program, command.Folder);
        if (!Directory.Exists(folder)) throw new UsageException($"there is no folder \"{folder}\" to run \"{program}\" in");
        var isGiven = command.Environment.TryGetValue("PATH", out var search);
        if (!isGiven && command.InheritsEnvironment) search = Environment.GetEnvironmentVariable("PATH");
        var path = Find(program, folder, search) ?? (IsPath(program) ? Path.GetFullPath(Path.Combine(folder, program)) : null);
        // Windows has folders beside its path, and says itself what it cannot start.
        if (path is not null)
            return OperatingSystem.IsWindows() || WhyNot(path) is not { } why ? path
                : throw new UsageException($"cannot start \"{program}\" in {folder}: {why}");
        return OperatingSystem.IsWindows() ? program
            : throw new UsageException($"cannot start \"{program}\" in {folder}: there is no such program on the PATH");
    }

    private static ProcessStartInfo Describe(ChildCommand command, string path, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(path, arguments)
        {
            WorkingDirectory = command.Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        if (!command.InheritsEnvironment) start.Environment.Clear();
        foreach (var (name, value) in command.Environment)
        {
            if (value is null) start.Environment.Remove(name);
            else start.Environment[name] = value;
        }
        return start;
    }

    private static Process Start(ChildCommand command, ProcessStartInfo start)
    {
        var process = new Process { StartInfo = start };
        try
        {
            process.Start();
            return process;
        }
        catch (Win32Exception error)
        {
            process.Dispose();
            throw new UsageException(
                $"cannot start \"{command.Program}\" in {command.Folder}: {Said(error.NativeErrorCode)}", error);
        }
    }

    // What the system would say with one word, "no such file" of a file that is there for one.
    private static string? WhyNot(string path)
    {
        if (Directory.Exists(path)) return $"\"{path}\" is a folder";
        if (!File.Exists(path)) return $"there is no file \"{path}\"";
        if (!IsProgram(path))
            return $"\"{path}\" is not executable; make it so (chmod +x, for git: git update-index --chmod=+x), " +
                "or name the program that runs it";
        return Interpreter(path) is { Length: > 0 } interpreter && !File.Exists(interpreter)
            ? $"its first line names the interpreter \"{Shown(interpreter)}\", which is not there; install it, " +
                "or correct the line"
                : null;
    }

    // Null where it is not a script, or cannot be looked at: starting it says so.
    private static string? Interpreter(string path)
    {
        var start = new byte[256];
        try
        {
            using var file = File.OpenRead(path);
            start = start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        if (!start.AsSpan().StartsWith("#!"u8)) return null;
        // To the first blank: what the system does. A carriage return belongs to the name.
        var line = Encoding.UTF8.GetString(start).Split('\n')[0][2..].TrimStart(' ', '\t');
        var interpreter = line.Split(' ', '\t')[0];
        return Path.IsPathRooted(interpreter) ? interpreter : null;
    }

    private static string Shown(string interpreter) => interpreter.Replace("\r", "\\r", StringComparison.Ordinal);

    private static string Said(int code) => code switch
    {
        2 when !OperatingSystem.IsWindows() => "it is there, but the loader that it needs is not: it is made for another system",
        8 when !OperatingSystem.IsWindows() =>
            "it is neither a program for this machine nor a script whose first line names its interpreter (#!)",
        13 when !OperatingSystem.IsWindows() =>
            "this user may not start it: the file system may be mounted without execution (noexec), " +
                "or a folder above it be closed",
        _ => new Win32Exception(code).Message,
    };

    private static bool IsPath(string program) =>
        program.Contains('/') || (OperatingSystem.IsWindows() && program.Contains('\\'));

    private static bool IsProgram(string path)
    {
        const UnixFileMode executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & executable) != 0);
    }

    // What the writer itself could not do ends the child and is the cause; that nobody reads on is not.
    private static async Task<Exception?> FeedAsync(
        Process process, Func<Stream, CancellationToken, Task>? input, Action end, CancellationToken cancel)
    {
        Exception? failure = null;
        try
        {
            if (input is not null) await input(process.StandardInput.BaseStream, cancel).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // The child ended first: its exit code and output say why.
        }
        catch (Exception error)
        {
            failure = error;
            end();
        }
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The last of it has no reader any more.
        }
        return failure;
    }

    private static async Task DrainAsync(Task streams)
    {
        try
        {
            await streams.WaitAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // See the caller: the rest belongs to a process that is none of ours any more.
        }
    }

    private static async Task ReadLinesAsync(TextReader reader, Action<string> onLine, Action<int> onText)
    {
        var buffer = new char[8192];
        var line = new StringBuilder();
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            onText(count);
            for (var at = 0; at < count; at++)
            {
                if (buffer[at] == '\n' || line.Length >= LongestLine)
                {
                    if (line.Length > 0 && line[^1] == '\r') line.Length--;
                    onLine(line.ToString());
                    line.Clear();
                    if (buffer[at] == '\n') continue;
                }
                line.Append(buffer[at]);
            }
        }
        if (line.Length > 0) onLine(line.ToString());
    }

    private static async Task ReadTextAsync(TextReader reader, StringBuilder into, Action<int> onText)
    {
        var buffer = new char[8192];
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            onText(count);
            lock (into) into.Append(buffer, 0, count);
        }
    }
}
