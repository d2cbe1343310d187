using System.Net;
using System.Text;
using CiSteps.Hosting.Display;
using Microsoft.Extensions.Time.Testing;

namespace CiSteps.Hosting.Tests;

public sealed class Html_with_values
{
    // What ends a text, an attribute, a tag or a comment, what begins one, and what is half a letter or none.
    private static readonly string[] Pieces =
    [
        "<", ">", "\"", "'", "`", "&", "=", "/", " ", "\t", "\n", "\r", "\0", "\x1b", "\x7f", "\u0085", "\u2028", "\ufffe",
        "\ud83d", "\ude00", "\ud83d\ude00",
        "<script>", "</title>", "-->", "<!--", "]]>", "&lt;", "&#60;", "&quot", "javascript:", "data:", "on", "é", "x",
    ];

    private static IEnumerable<string> Texts()
    {
        var random = new Random(11);
        for (var number = 0; number < 20_000; number++)
        {
            var text = new StringBuilder();
            for (var left = random.Next(12); left > 0; left--)
                if (random.Next(3) == 0) text.Append((char)random.Next(char.MaxValue + 1));
                else text.Append(Pieces[random.Next(Pieces.Length)]);
            yield return text.ToString();
        }
    }

    [Test]
    public void Never_open_a_tag_and_never_leave_an_attribute()
    {
        foreach (var text in Texts())
        {
            var html = Html.Of($"""<p title="{text}" id='{text}'>{text}</p>""").ToString();
            var parts = html.Split('"', '\'', '<', '>');
            Assert.That(parts, Has.Length.EqualTo(9), () => $"the markup has other parts: {html}");
            Assert.That(
                new[] { parts[0], parts[1], parts[3], parts[5], parts[7], parts[8] },
                Is.EqualTo(new[] { "", "p title=", " id=", "", "/p", "" }));
            foreach (var value in new[] { parts[2], parts[4], parts[6] })
            {
                Assert.That(WebUtility.HtmlDecode(value), Is.EqualTo(Shown(text)), () => html);
                Assert.That(value.Any(letter => char.IsControl(letter) && letter is not ('\n' or '\t')), Is.False, "controls");
                Assert.That(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(value)), Is.EqualTo(value), "half letters");
            }
        }
    }

    [Test]
    public void Never_lead_anywhere_but_to_the_web_by_mail_or_beside_the_page()
    {
        foreach (var text in Texts().Concat(Texts().Select(text => "java\tscript:" + text)))
        {
            var html = Html.Of($"""<a href="{text}">x</a>""").ToString();
            var address = WebUtility.HtmlDecode(html.Split('"')[1]);
            // As a browser reads it: without what it drops, up to the first colon that can end a scheme.
            var read = string
                .Concat(address.Where(letter => letter is not ('\t' or '\n' or '\r')))
                .TrimStart([.. Enumerable.Range(0, 33).Select(code => (char)code)]);
            var scheme = read.TakeWhile(letter => char.IsAsciiLetterOrDigit(letter) || letter is '+' or '-' or '.').Count();
            if (scheme > 0 && scheme < read.Length && read[scheme] == ':')
                Assert.That(read[..scheme].ToLowerInvariant(), Is.AnyOf("http", "https", "mailto", "about"), () => html);
        }
    }

    [TestCase("https://ci.example/1?a=b&c=d", "https://ci.example/1?a=b&amp;c=d")]
    [TestCase("logs/a b.txt", "logs/a%20b.txt")]
    [TestCase("a/b:c", "a/b:c")]
    [TestCase("mailto:a@b", "mailto:a@b")]
    [TestCase("javascript:alert(1)", "about:invalid")]
    [TestCase("JavaScript:alert(1)", "about:invalid")]
    [TestCase(" \tjavascript:alert(1)", "about:invalid")]
    [TestCase("data:text/html,x", "about:invalid")]
    [TestCase("vbscript:x", "about:invalid")]
    public void Keep_an_address_only_when_it_runs_nothing(string address, string written) =>
        Assert.That(Html.Of($"""<a href="{address}">x</a>""").ToString(), Is.EqualTo($"""<a href="{written}">x</a>"""));

    [Test]
    public void Stand_below_an_address_that_is_written_out() =>
        Assert.That(Html.Of($"""<a href="#{"javascript:x"}">x</a><a href="https://x/{"a:b"}">x</a>""").ToString(),
            Is.EqualTo("""<a href="#javascript:x">x</a><a href="https://x/a:b">x</a>"""));

    // For each a value that is harmless elsewhere.
    private static IEnumerable<TestCaseData> Misplaced()
    {
        const string text = "x";
        yield return Case("an attribute without quotes", () => Html.Of($"<p class={text}>x</p>"));
        yield return Case("a tag's name", () => Html.Of($"<{text}>x</p>"));
        yield return Case("an attribute's name", () => Html.Of($"<p {text}>x</p>"));
        yield return Case("a script", () => Html.Of($"<script>{text}</script>"));
        yield return Case("a script after what looks like its end", () => Html.Of($"<script>if (1</b>2) {text}</script>"));
        yield return Case("a style sheet", () => Html.Of($"<style>{text}</style>"));
        yield return Case("a comment", () => Html.Of($"<!-- a > {text} --><p>x</p>"));
        yield return Case("a style", () => Html.Of($"""<p style="{text}">x</p>"""));
        yield return Case("an event", () => Html.Of($"""<p OnClick="{text}">x</p>"""));
        yield return Case("an event with a number", () => Html.Of($"""<p onclick="{1}">x</p>"""));
        yield return Case("a page in a page", () => Html.Of($"""<iframe srcdoc="{text}"></iframe>"""));
        yield return Case("a scheme that goes on", () => Html.Of($"""<a href="java{text}">x</a>"""));
        yield return Case("a script's address", () => Html.Of($"""<a href="javascript:/{text}">x</a>"""));
        yield return Case(
            "where a page goes by itself",
            () => Html.Of($"""<meta http-equiv="refresh" content="0;url={text}">"""));
        yield return Case("HTML in an attribute", () => Html.Of($"""<p title="{Html.Raw("<b>x</b>")}">x</p>"""));
        yield return Case("a tag without its end", () => Html.Of($"<p"));
        yield return Case("an attribute without its end", () => Html.Of($"""<p title="{text}"""));

        static TestCaseData Case(string name, Action write) => new TestCaseData(write).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Misplaced))]
    public void Are_refused_where_nothing_makes_them_safe(Action write) =>
        Assert.That(() => write(), Throws.InvalidOperationException);

    [Test]
    public void Are_texts_numbers_and_html()
    {
        string? nothing = null;
        var items = Html.Each(["a<", "b"], item => Html.Of($"<li>{item}</li>"));
        Assert.That(Html.Of($"""<ul style="width:{12.345:0.#}%">{items}{nothing}{3}{Html.Empty}</ul>""").ToString(),
            Is.EqualTo("""<ul style="width:12.3%"><li>a&lt;</li><li>b</li>3</ul>"""));
    }

    // What cannot be shown is shown as one letter that says so.
    private static string Shown(string text) => string.Concat(text.EnumerateRunes()
        .Select(rune => Rune.IsControl(rune) && rune.Value is not ('\n' or '\t' or '\r') ? "\ufffd" : rune.ToString()));
}

public sealed class What_is_shown_to_people
{
    [TestCase(0, "0 pods")]
    [TestCase(1, "1 pod")]
    [TestCase(2, "2 pods")]
    public void Counts_in_words(int count, string text) => Assert.That(Count.Of(count, "pod"), Is.EqualTo(text));

    [Test]
    public void Counts_in_words_that_have_a_plural_of_their_own() =>
        Assert.That(Count.Of(2, "entry", "entries"), Is.EqualTo("2 entries"));

    [TestCase(0.4, ExpectedResult = "0s")]
    [TestCase(-5, ExpectedResult = "0s")]
    [TestCase(61.9, ExpectedResult = "1m 1s")]
    public string Counts_time_up_in_whole_seconds(double seconds) => Options.Durations.ShowWhole(TimeSpan.FromSeconds(seconds));

    [Test]
    public void Stands_in_columns() =>
        Assert.That(
            Table.Lines([["step", "time", "text"], ["a", "12s", "two\nlines"], ["longer", "1m 2s", ""]], gap: 2, numbers: 1),
            Is.EqualTo(new[] { "step     time  text", "a         12s  two lines", "longer  1m 2s" }));

    [Test]
    public void Is_an_empty_table_of_no_rows() => Assert.That(Table.Lines([]), Is.Empty);

    [Test]
    public void Goes_to_a_terminal_with_a_line_that_changes()
    {
        var (output, time) = (new StringWriter { NewLine = "\n" }, new FakeTimeProvider());
        var terminal = new Terminal(output, coloured: true, time);
        terminal.Show("one\n\e[2Jtwo");
        time.Advance(TimeSpan.FromSeconds(1.5));
        terminal.Show("three");
        terminal.Write("name ", "done", Ink.Green);
        terminal.Wipe();
        Assert.That(
            output.ToString(),
            Is.EqualTo("\e[?7l\e[90m   0.0s one  [2Jtwo\e[0m\e[?7h\r\e[K\e[?7l\e[90m   1.5s three\e[0m\e[?7h\r\e[K"
                + "\e[90m   1.5s\e[0m name \e[32mdone\e[0m\n"));
    }

    [Test]
    public void Goes_elsewhere_in_plain_lines()
    {
        var output = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, coloured: false, new FakeTimeProvider());
        terminal.Show("live");
        terminal.Write("name ", "a\r\nb", Ink.Red);
        Assert.That(output.ToString(), Is.EqualTo("   0.0s name a\n   0.0s name b\n"));
    }
}
