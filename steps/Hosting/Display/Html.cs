using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace CiSteps.Hosting.Display;

/// <summary>A piece of HTML: whole elements, with every value in them encoded for the place where it stands.</summary>
public sealed class Html
{
    private readonly string markup;

    private Html(string markup) => this.markup = markup;

    /// <summary>Nothing.</summary>
    public static Html Empty { get; } = new("");

    /// <summary>Markup with values: the written text is markup, and what stands in braces is not.</summary>
    /// <exception cref="InvalidOperationException">A value stands where no encoding makes it safe, or an element is not written
    /// to its end.</exception>
    public static Html Of(HtmlTemplate template) => new(template.ToMarkup());

    /// <summary>Markup as it is. The compiler wants a constant, so that nothing from outside gets here.</summary>
    public static Html Raw([ConstantExpected] string markup) => new(markup);

    /// <summary>One piece after another.</summary>
    public static Html Each<T>(IEnumerable<T> items, Func<T, Html> show) =>
        new(string.Concat(items.Select(item => show(item).markup)));

    /// <summary>Encoded text that may be written into a page as it is.</summary>
    public override string ToString() => markup;
}

/// <summary>
/// What the compiler makes of <c>Html.Of($"…")</c>. Values are texts, numbers and HTML; for any other type there is no way in.
/// </summary>
[InterpolatedStringHandler]
public readonly ref struct HtmlTemplate
{
    private readonly HtmlWriter writer;

    /// <summary>Called by the compiler.</summary>
    /// <param name="literalLength">Letters of markup.</param>
    /// <param name="formattedCount">How many values follow.</param>
    public HtmlTemplate(int literalLength, int formattedCount) => writer = new HtmlWriter(literalLength + 16 * formattedCount);

    /// <summary>Markup, as it is written in the source.</summary>
    public void AppendLiteral(string markup) => writer.Markup(markup);

    /// <summary>Text: encoded, and in an attribute with an address only an address that runs nothing.</summary>
    public void AppendFormatted(string? text) => writer.Text(text ?? "");

    /// <summary>HTML as it is; only between elements.</summary>
    public void AppendFormatted(Html html)
    {
        ArgumentNullException.ThrowIfNull(html);
        writer.Piece(html.ToString());
    }

    /// <summary>A whole number.</summary>
    public void AppendFormatted(long number) => writer.Number(number.ToString(CultureInfo.InvariantCulture));

    /// <summary>A number, with a format such as <c>0.##</c>.</summary>
    public void AppendFormatted(double number, [ConstantExpected] string? format = null) =>
        writer.Number(number.ToString(format, CultureInfo.InvariantCulture));

    internal string ToMarkup() => writer.ToMarkup();
}
