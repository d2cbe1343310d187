using System.Globalization;
using System.Net;
using System.Text;
using CiSteps.Hosting.Settings;

namespace CiSteps.Reports;

/// <summary>The report as HTML: what happened, when, what went wrong, what was handed over. Readable in light and dark, on paper, and without scripts.</summary>
internal static class ReportPage
{
    public static string Of(ChainReport report)
    {
        var page = new StringBuilder();
        page.Append("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>")
            .Append(Html(report.Title)).Append("</title>\n<style>\n").Append(Style).Append("</style></head><body><main>\n");
        page.Append("<header class=\"").Append(report.Succeeded ? "good" : "bad").Append("\"><p class=\"outcome\">").Append(report.Succeeded ? "done" : "failed")
            .Append("</p><h1>").Append(Html(report.Title)).Append("</h1><p class=\"summary\">").Append(Html(report.Summary)).Append("</p></header>\n<dl class=\"facts\">");
        foreach (var (name, value) in report.Facts) page.Append("<div><dt>").Append(Html(name)).Append("</dt><dd>").Append(Html(value)).Append("</dd></div>");
        page.Append("</dl>\n");
        Timeline(page, report.Rows);
        foreach (var row in report.Rows) Section(page, row);
        return page.Append("</main></body></html>\n").ToString();
    }

    private static void Timeline(StringBuilder page, IReadOnlyList<ReportRow> rows)
    {
        var timed = rows.Where(row => row is { From: not null, To: not null }).ToList();
        var from = timed.Select(row => row.From!.Value).DefaultIfEmpty().Min();
        var to = timed.Select(row => row.To!.Value).DefaultIfEmpty().Max();
        var whole = Math.Max(0.001, (to - from).TotalSeconds);
        page.Append("<section><h2>Timeline</h2><table class=\"timeline\"><thead><tr><th>step</th><th>outcome</th><th class=\"number\">time</th><th class=\"bars\"><span>0s</span><span>")
            .Append(Html(Durations.Show(TimeSpan.FromSeconds(whole)))).Append("</span></th></tr></thead><tbody>\n");
        foreach (var row in rows)
        {
            var style = Class(row.Outcome);
            page.Append("<tr><td><a href=\"#").Append(Html(row.Name)).Append("\">").Append(Html(row.Name)).Append("</a></td><td><span class=\"state ").Append(style).Append("\">")
                .Append(Html(row.Outcome)).Append("</span></td><td class=\"number\">");
            if (row is { From: { } began, To: { } ended })
            {
                page.Append(Html(Durations.Show(ended - began))).Append("</td><td class=\"bars\"><div class=\"bar ").Append(style).Append("\" style=\"margin-left:")
                    .Append(Percent((began - from).TotalSeconds / whole)).Append(";width:").Append(Percent((ended - began).TotalSeconds / whole)).Append("\"></div>");
            }
            else page.Append("</td><td class=\"bars\">");
            page.Append("</td></tr>\n");
        }
        page.Append("</tbody></table></section>\n");
    }

    private static void Section(StringBuilder page, ReportRow row)
    {
        page.Append("<section id=\"").Append(Html(row.Name)).Append("\"><h2>").Append(Html(row.Name)).Append(" <span class=\"state ").Append(Class(row.Outcome)).Append("\">")
            .Append(Html(row.Outcome)).Append("</span></h2>");
        if (row.Detail.Length > 0) page.Append("<p class=\"detail\">").Append(Html(row.Detail)).Append("</p>");
        if (row.Text.Length > 0 && row.Problems.All(problem => problem.Text != row.Text)) page.Append("<p>").Append(Html(row.Text)).Append("</p>");
        foreach (var problem in row.Problems)
            page.Append("<div class=\"problem\"><code>").Append(Html(problem.Identity)).Append("</code><p>").Append(Html(problem.Text)).Append("</p></div>");
        if (row.Tests is { } tests && tests.Passed + tests.Failed + tests.Ignored > 0)
            page.Append("<p>tests: <b>").Append(tests.Passed).Append("</b> passed, <b>").Append(tests.Failed).Append("</b> failed, <b>").Append(tests.Ignored).Append("</b> ignored</p>");
        if (row.FailedTests.Count > 0)
        {
            page.Append("<ul class=\"failed\">");
            foreach (var test in row.FailedTests.Take(50)) page.Append("<li><code>").Append(Html(test.Name)).Append("</code> ").Append(Html(test.Message)).Append("</li>");
            page.Append("</ul>");
        }
        if (row.HandedOver.Count > 0)
        {
            page.Append("<h3>handed over</h3><ul>");
            foreach (var handed in row.HandedOver) page.Append("<li><code>").Append(Html(handed)).Append("</code></li>");
            page.Append("</ul>");
        }
        if (row.Log is { } log) page.Append("<p><a href=\"").Append(Html(log)).Append("\">log</a></p>");
        page.Append("</section>\n");
    }

    private static string Class(string outcome) => outcome switch { "done" => "good", "failed" => "bad", "cancelled" => "odd", _ => "idle" };

    private static string Percent(double share) => (Math.Clamp(share, 0, 1) * 100).ToString("0.##", CultureInfo.InvariantCulture) + "%";

    private static string Html(string text) => WebUtility.HtmlEncode(text);

    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6575; --line: #dfe3ea; --paper: #ffffff; --panel: #f6f7f9; --good: #1a7f4b; --bad: #c0332b; --odd: #a15c00; --idle: #8a93a2; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b4; --line: #2f3743; --paper: #14181f; --panel: #1b212a; --good: #46c285; --bad: #ff7a70; --odd: #e8a33d; --idle: #6d7786; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
        header { border-left: .4rem solid var(--idle); padding: .2rem 0 .2rem 1rem; }
        header.good { border-color: var(--good); } header.bad { border-color: var(--bad); }
        header .outcome { margin: 0; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; font-size: .8rem; }
        header.good .outcome { color: var(--good); } header.bad .outcome { color: var(--bad); }
        h1 { margin: .1rem 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; } .summary { margin: .3rem 0 0; overflow-wrap: anywhere; }
        h2 { font-size: 1.1rem; margin: 0 0 .4rem; } h3 { font-size: .85rem; margin: .8rem 0 .2rem; color: var(--soft); font-weight: 600; }
        .facts { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 1.2rem 0; } .facts div { min-width: 0; } dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere; }
        section { border-top: 1px solid var(--line); padding: 1.1rem 0; }
        table { width: 100%; border-collapse: collapse; } th { text-align: left; color: var(--soft); font-weight: 500; font-size: .8rem; } td, th { padding: .3rem .8rem .3rem 0; white-space: nowrap; }
        .number { text-align: right; font-variant-numeric: tabular-nums; } .bars { width: 55%; padding-right: 0; } th.bars span:last-child { float: right; }
        .bar { height: .9rem; min-width: 3px; border-radius: 2px; background: var(--idle); } .bar.good { background: var(--good); } .bar.bad { background: var(--bad); } .bar.odd { background: var(--odd); }
        .state { font-size: .85rem; font-weight: 600; color: var(--idle); } .state.good { color: var(--good); } .state.bad { color: var(--bad); } .state.odd { color: var(--odd); }
        a { color: inherit; } .detail { color: var(--soft); margin: 0 0 .4rem; font-size: .85rem; } code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere; }
        .problem { border-left: 3px solid var(--bad); background: var(--panel); padding: .5rem .8rem; margin: .5rem 0; } .problem p { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
        ul { margin: .2rem 0; padding-left: 1.2rem; }
        @media print { body { font-size: 12px; } section { break-inside: avoid; } }

        """;
}
