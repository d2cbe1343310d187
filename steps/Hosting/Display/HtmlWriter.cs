using System.Text;

namespace CiSteps.Hosting.Display;

/// <summary>
/// Writes a template's markup and values. It follows the markup, and so knows what a value at this place has to be.
/// </summary>
internal sealed class HtmlWriter(int capacity)
{
    private const string NoAddress = "about:invalid";

    private readonly StringBuilder markup = new(capacity);
    private readonly HtmlPosition at = new();

    public void Markup(string text)
    {
        foreach (var letter in text) at.Read(letter);
        markup.Append(text);
    }

    public void Text(string text)
    {
        if (at.IsText) Encode(text);
        else if (at.Attribute is not { } attribute) throw Misplaced();
        else if (IsCode(attribute)) throw Misplaced();
        else if (!IsAddress(attribute) || IsBelowAddress(at.Value)) Encode(text);
        else if (at.Value.Length > 0) throw Misplaced();
        else Encode(Address(text));
        at.ReadValue();
    }

    public void Number(string number)
    {
        if (!at.IsText && (at.Attribute is not { } attribute || attribute.StartsWith("on", StringComparison.Ordinal)))
            throw Misplaced();
        Encode(number);
        at.ReadValue();
    }

    public void Piece(string html)
    {
        if (!at.IsText) throw Misplaced();
        markup.Append(html);
    }

    public string ToMarkup() => at.IsText ? markup.ToString()
        : throw new InvalidOperationException($"the template does not end between elements: {markup}");

    // "content" is among them for <meta http-equiv="refresh">, which sends the reader elsewhere.
    private static bool IsCode(string attribute) =>
        attribute is "style" or "srcdoc" or "srcset" or "content" || attribute.StartsWith("on", StringComparison.Ordinal);

    private static bool IsAddress(string attribute) =>
        attribute is "href" or "src" or "action" or "formaction" or "poster" or "cite" or "data" or "ping" or "background"
            or "xlink:href";

    // After a slash, a question mark or a number sign nothing can become a scheme any more.
    private static bool IsBelowAddress(string before)
    {
        var colon = before.IndexOf(':', StringComparison.Ordinal);
        var end = before.AsSpan().IndexOfAny("/?#");
        return end >= 0 && (colon < 0 || colon > end || before[..colon] is "http" or "https");
    }

    // Browsers drop white space and control characters from an address before they look for its scheme.
    private static string Address(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var end = text.AsSpan().IndexOfAny("/?#");
        if (colon >= 0 && (end < 0 || colon < end) && text[..colon].ToLowerInvariant() is not ("http" or "https" or "mailto"))
            return NoAddress;
        var address = new StringBuilder(text.Length);
        foreach (var letter in text)
            if (letter is <= ' ' or '\x7f') address.Append(Uri.HexEscape(letter));
            else address.Append(letter);
        return address.ToString();
    }

    // What is half a letter, or a control character that HTML does not know, is shown as one that cannot be shown.
    private void Encode(string text)
    {
        foreach (var rune in text.EnumerateRunes())
            _ = rune.Value switch
            {
                '&' => markup.Append("&amp;"),
                '<' => markup.Append("&lt;"),
                '>' => markup.Append("&gt;"),
                '"' => markup.Append("&quot;"),
                '\'' => markup.Append("&#39;"),
                '`' => markup.Append("&#96;"),
                '\r' => markup.Append("&#13;"),
                '\n' or '\t' => markup.Append((char)rune.Value),
                _ when Rune.IsControl(rune) => markup.Append('\uFFFD'),
                _ => markup.Append(rune.ToString()),
            };
    }

    private InvalidOperationException Misplaced() =>
        new($"no value can stand at the end of this markup: {markup}; put it between elements, or in a quoted attribute");
}
