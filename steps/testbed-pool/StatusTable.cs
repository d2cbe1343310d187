using System.Globalization;
using System.Text;
using CiSteps.Hosting.Settings;
using CiSteps.Testbeds.Pool;

namespace CiSteps.TestbedPool;

/// <summary>The pool as two plain tables.</summary>
internal static class StatusTable
{
    public static string Of(PoolView view)
    {
        var text = new StringBuilder();
        Write(text, ["TESTBED", "CLASS", "PHASE", "SINCE", "LEASE", "HELD BY", "LAST"],
            [.. view.Testbeds.Select(t => new[] { t.Name, t.Class, t.Phase, Ago(view.At, t.Since), t.Lease.ToString(CultureInfo.InvariantCulture), t.Who ?? "-", t.Message })]);
        text.Append('\n');
        if (view.Claims.Count == 0) return text.Append("no claims").ToString();
        Write(text, ["CLAIM", "CLASS", "PHASE", "TESTBED", "WHO", "AGE", "UNTIL"],
            [.. view.Claims.Select(c => new[]
            {
                c.Name, c.Class, c.Position > 0 ? $"{c.Phase} (place {c.Position})" : c.PickedUp ? c.Phase + ", in use" : c.Phase, c.Testbed ?? "-", c.Who,
                Ago(view.At, c.Created), c.Until?.ToLocalTime().ToString("HH:mm", CultureInfo.InvariantCulture) ?? "-",
            })]);
        return text.ToString().TrimEnd('\n');
    }

    public static string Ago(DateTimeOffset now, DateTimeOffset? then) =>
        then is not { } moment ? "-" : Durations.Show(now > moment ? TimeSpan.FromSeconds(Math.Floor((now - moment).TotalSeconds)) : TimeSpan.Zero);

    private static void Write(StringBuilder text, string[] head, IReadOnlyList<string[]> rows)
    {
        var widths = head.Select((title, column) => rows.Select(row => row[column].Length).Append(title.Length).Max()).ToArray();
        foreach (var row in rows.Prepend(head))
            text.Append(string.Join("   ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd()).Append('\n');
    }
}
