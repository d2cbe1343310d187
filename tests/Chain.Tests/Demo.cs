using System.Diagnostics;
using System.Text;

namespace CiSteps.Chain.Tests;

/// <summary>
/// One run of scripts/demo.sh with a registry port of its own: the published executables on a real engine, registry and git, as a
/// person starts them.
/// </summary>
internal sealed class Demo : IDisposable
{
    private readonly Process process;
    private readonly StringBuilder text = new();
    private readonly Dictionary<string, TaskCompletionSource> awaited = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan longestSilence;
    private long lastLine = Stopwatch.GetTimestamp();
    private bool afterSetUp;

    private Demo(Process process) => this.process = process;

    public static string Root { get; } = FindRoot();

    public static string Folder { get; } = Path.Combine(Root, "artifacts", "demo");

    public int ExitCode => process.ExitCode;

    /// <summary>The longest time without a line once the set-up is over.</summary>
    public TimeSpan LongestSilence
    {
        get { lock (text) return longestSilence; }
    }

    public string Output
    {
        get { lock (text) return text.ToString(); }
    }

    public static Demo Start(IReadOnlyDictionary<string, string>? environment = null, params string[] arguments)
    {
        // setsid: signals go to this run alone, and to all of it, as a terminal sends them.
        var start = new ProcessStartInfo("setsid", ["bash", Path.Combine(Root, "scripts", "demo.sh"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var demo = new Demo(new Process { StartInfo = start, EnableRaisingEvents = true });
        demo.process.OutputDataReceived += (_, line) => demo.Add(line.Data);
        demo.process.ErrorDataReceived += (_, line) => demo.Add(line.Data);
        demo.process.Exited += (_, _) => demo.ended.TrySetResult();
        demo.process.Start();
        demo.process.BeginOutputReadLine();
        demo.process.BeginErrorReadLine();
        return demo;
    }

    /// <summary>Returns when a line with the words has come; fails when the run ends before.</summary>
    public async Task UntilAsync(string words)
    {
        TaskCompletionSource seen;
        lock (text)
        {
            if (text.ToString().Contains(words, StringComparison.Ordinal)) return;
            awaited[words] = seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        await Task.WhenAny(seen.Task, ended.Task).WaitAsync(TimeSpan.FromMinutes(5));
        if (!seen.Task.IsCompleted) Assert.Fail($"the demo ended before \"{words}\":\n{Output}");
    }

    /// <summary>Ctrl+C: an interrupt to every process of the run.</summary>
    public void Interrupt()
    {
        using var kill = Process.Start("kill", ["-INT", "--", $"-{process.Id}"]);
        kill.WaitForExit();
        Assert.That(kill.ExitCode, Is.Zero, "the interrupt could not be sent");
    }

    public async Task EndAsync() => await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(5));

    public void Dispose()
    {
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        process.Dispose();
    }

    private void Add(string? line)
    {
        if (line is null) return;
        lock (text)
        {
            var now = Stopwatch.GetTimestamp();
            if (afterSetUp && Stopwatch.GetElapsedTime(lastLine, now) is var silence && silence > longestSilence)
                longestSilence = silence;
            lastLine = now;
            afterSetUp |= line.StartsWith("1. ", StringComparison.Ordinal);
            text.Append(line).Append('\n');
            foreach (var (words, seen) in awaited)
                if (line.Contains(words, StringComparison.Ordinal)) seen.TrySetResult();
        }
    }

    private static string FindRoot()
    {
        var at = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
        while (!File.Exists(Path.Combine(at!.FullName, "CiSteps.sln"))) at = at.Parent;
        return at.FullName;
    }
}
