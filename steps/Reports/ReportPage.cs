using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;

namespace CiSteps.Reports;

/// <summary>
/// The report as HTML: what happened, when, what went wrong, what was handed over. Readable in light and dark, on paper, and
/// without scripts.
/// </summary>
internal static class ReportPage
{
    private const int MostTests = 50;

    public static string Of(ChainReport report) => Html.Of($"""
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
        <title>{report.Title}</title>
        {Html.Raw(Style)}</head><body><main>
        <header class="{(report.Succeeded ? "good" : "bad")}"><p class="outcome">{(report.Succeeded ? "done" : "failed")}</p>
        <h1>{report.Title}</h1><p class="summary">{report.Summary}</p></header>
        <dl class="facts">{Html.Each(report.Facts, Fact)}</dl>
        {Timeline(report.Rows)}
        {Html.Each(report.Rows, Section)}</main></body></html>

        """).ToString();

    private static Html Fact((string Name, string Value) fact) =>
        Html.Of($"<div><dt>{fact.Name}</dt><dd>{fact.Value}</dd></div>");

    private static Html Timeline(IReadOnlyList<ReportRow> rows)
    {
        var timed = rows.Where(row => row is { From: not null, To: not null }).ToList();
        var from = timed.Select(row => row.From!.Value).DefaultIfEmpty().Min();
        var to = timed.Select(row => row.To!.Value).DefaultIfEmpty().Max();
        var whole = Math.Max(0.001, (to - from).TotalSeconds);
        return Html.Of($"""
            <section><h2>Timeline</h2><table class="timeline"><thead><tr><th>step</th><th>outcome</th><th class="number">time</th>
            <th class="bars"><span>0s</span><span>{Durations.Show(TimeSpan.FromSeconds(whole))}</span></th></tr></thead><tbody>
            {Html.Each(rows, Line)}</tbody></table></section>
            """);

        Html Line(ReportRow row)
        {
            var took = row is { From: { } began, To: { } ended } ? Durations.Show(ended - began) : "";
            return Html.Of($"""
                <tr><td><a href="#{row.Name}">{row.Name}</a></td><td>{State(row)}</td>
                <td class="number">{took}</td><td class="bars">{Bar(row)}</td></tr>

                """);
        }

        Html Bar(ReportRow row) => row is not { From: { } began, To: { } ended } ? Html.Empty : Html.Of(
            $"""
            <div class="bar {Class(row)}"
              style="margin-left:{Share(began - from):0.##}%;width:{Share(ended - began):0.##}%"></div>
            """);

        double Share(TimeSpan time) => Math.Clamp(time.TotalSeconds / whole, 0, 1) * 100;
    }

    private static Html Section(ReportRow row) => Html.Of($"""
        <section id="{row.Name}"><h2>{row.Name} {State(row)}</h2>
        {Paragraph(row.Detail, "detail")}{(row.Problems.All(problem => problem.Text != row.Text)
            ? Paragraph(row.Text, "")
            : Html.Empty)}
        {Html.Each(row.Problems, Problem)}{Tests(row)}{List("handed over", row.HandedOver)}{Log(row)}</section>

        """);

    private static Html Paragraph(string text, string style) =>
        text.Length == 0 ? Html.Empty : Html.Of($"""<p class="{style}">{text}</p>""");

    private static Html Problem(BuildProblem problem) =>
        Html.Of($"""<div class="problem"><code>{problem.Identity}</code><p>{problem.Text}</p></div>""");

    private static Html Tests(ReportRow row)
    {
        var (passed, failed, ignored) = row.Tests;
        var totals = passed + failed + ignored == 0 ? Html.Empty
            : Html.Of($"<p>tests: <b>{passed}</b> passed, <b>{failed}</b> failed, <b>{ignored}</b> ignored</p>");
        if (row.FailedTests.Count == 0) return totals;
        var more = row.FailedTests.Count - MostTests;
        var rest = more <= 0 ? Html.Empty : Html.Of($"<li>and {more} more, see the log</li>");
        return Html.Of($"""{totals}<ul class="failed">{Html.Each(row.FailedTests.Take(MostTests), Test)}{rest}</ul>""");
    }

    private static Html Test(FailedTest test) => Html.Of($"<li><code>{test.Name}</code> {test.Message}</li>");

    private static Html List(string title, IReadOnlyList<string> items) => items.Count == 0 ? Html.Empty
        : Html.Of($"<h3>{title}</h3><ul>{Html.Each(items, item => Html.Of($"<li><code>{item}</code></li>"))}</ul>");

    private static Html Log(ReportRow row) =>
        row.Log is not { } log ? Html.Empty : Html.Of($"""<p><a href="{log}">log</a></p>""");

    private static Html State(ReportRow row) => Html.Of($"""<span class="state {Class(row)}">{row.Outcome}</span>""");

    private static string Class(ReportRow row) =>
        row.Outcome switch { "done" => "good", "failed" => "bad", "cancelled" => "odd", _ => "idle" };

    private const string Style = """
        <style>
        :root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6575; --line: #dfe3ea; --paper: #ffffff;
          --panel: #f6f7f9; --good: #1a7f4b; --bad: #c0332b; --odd: #a15c00; --idle: #8a93a2; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b4; --line: #2f3743; --paper: #14181f;
          --panel: #1b212a; --good: #46c285; --bad: #ff7a70; --odd: #e8a33d; --idle: #6d7786; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
        header { border-left: .4rem solid var(--idle); padding: .2rem 0 .2rem 1rem; }
        header.good { border-color: var(--good); } header.bad { border-color: var(--bad); }
        header .outcome { margin: 0; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; font-size: .8rem; }
        header.good .outcome { color: var(--good); } header.bad .outcome { color: var(--bad); }
        h1 { margin: .1rem 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; } .summary { margin: .3rem 0 0;
          overflow-wrap: anywhere; }
        h2 { font-size: 1.1rem; margin: 0 0 .4rem; } h3 { font-size: .85rem; margin: .8rem 0 .2rem; color: var(--soft);
          font-weight: 600; }
        .facts { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 1.2rem 0; } .facts div { min-width: 0; }
          dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere; }
        section { border-top: 1px solid var(--line); padding: 1.1rem 0; }
        table { width: 100%; border-collapse: collapse; } th { text-align: left; color: var(--soft); font-weight: 500;
          font-size: .8rem; } td, th { padding: .3rem .8rem .3rem 0; white-space: nowrap; }
        .number { text-align: right; font-variant-numeric: tabular-nums; } .bars { width: 55%; padding-right: 0; }
          th.bars span:last-child { float: right; }
        .bar { height: .9rem; min-width: 3px; border-radius: 2px; background: var(--idle); }
          .bar.good { background: var(--good); } .bar.bad { background: var(--bad); } .bar.odd { background: var(--odd); }
        .state { font-size: .85rem; font-weight: 600; color: var(--idle); } .state.good { color: var(--good); }
          .state.bad { color: var(--bad); } .state.odd { color: var(--odd); }
        a { color: inherit; } .detail { color: var(--soft); margin: 0 0 .4rem; font-size: .85rem; }
          code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere; }
        .problem { border-left: 3px solid var(--bad); background: var(--panel); padding: .5rem .8rem; margin: .5rem 0; }
          .problem p { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
        ul { margin: .2rem 0; padding-left: 1.2rem; }
        @media print { body { font-size: 12px; } section { break-inside: avoid; } }
        </style>
        """;
}
