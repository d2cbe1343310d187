using System.Diagnostics;
using System.Globalization;

namespace CiSteps.Benchmarks;

/// <summary>The figures, a line each, in Markdown.</summary>
internal sealed class Table
{
    private readonly TextWriter output;

    public Table(TextWriter output)
    {
        this.output = output;
        output.WriteLine(
            $"{Environment.ProcessorCount} processors, .NET {Environment.Version}; medians and, of several turns, the least\n");
        output.WriteLine("| what | ours | instead | that takes | ratio |\n|---|---|---|---|---|");
    }

    /// <summary>One figure; without a counterpart it stands alone.</summary>
    public void Add(string what, string ours, string instead = "", string that = "", double? ratio = null)
    {
        output.WriteLine($"| {what} | {ours} | {instead} | {that} | {ratio?.ToString("0.00", CultureInfo.InvariantCulture)} |");
        output.Flush();
    }

    /// <summary>Measures two ways to the same end in turns.</summary>
    /// <param name="what">The end.</param>
    /// <param name="times">How often each is measured, after one round that does not count.</param>
    /// <param name="ours">Our way.</param>
    /// <param name="instead">What a user would do instead.</param>
    /// <param name="theirs">That.</param>
    /// <param name="before">Done before each, outside the clock.</param>
    /// <param name="remark">What to say of ours behind its times.</param>
    public async Task CompareAsync(string what, int times, Func<Task> ours, string instead, Func<Task> theirs,
        Func<Task>? before = null, Func<string>? remark = null)
    {
        var (one, other) = (new List<TimeSpan>(), new List<TimeSpan>());
        for (var round = 0; round <= times; round++)
        {
            foreach (var (way, taken) in new[] { (ours, one), (theirs, other) })
            {
                if (before is not null) await before();
                var time = await TimeAsync(way);
                if (round > 0) taken.Add(time);
            }
        }
        Add(what, ShowAll(one) + remark?.Invoke(), instead, ShowAll(other), Median(one) / Median(other));
    }

    public static async Task<TimeSpan> TimeAsync(Func<Task> work)
    {
        var started = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(started);
    }

    public static TimeSpan TimeOf(Action work)
    {
        var started = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(started);
    }

    public static TimeSpan Median(IReadOnlyCollection<TimeSpan> times) => Percentile(times, 50);

    public static TimeSpan Percentile(IReadOnlyCollection<TimeSpan> times, int percent) =>
        times.Order().ElementAt((times.Count - 1) * percent / 100);

    public static string Show(TimeSpan time) => time.TotalMilliseconds switch
    {
        < 10 => $"{Plain(time.TotalMilliseconds, "0.00")} ms",
        < 1000 => $"{Plain(time.TotalMilliseconds, "0")} ms",
        _ => $"{Plain(time.TotalSeconds, "0.00")} s",
    };

    private static string ShowAll(List<TimeSpan> times) =>
        times.Count > 1 ? $"{Show(Median(times))} (least {Show(times.Min())})" : Show(Median(times));

    private static string Plain(double number, string format) => number.ToString(format, CultureInfo.InvariantCulture);
}
