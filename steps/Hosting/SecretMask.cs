using System.Buffers.Text;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.RegularExpressions;

namespace CiSteps.Hosting;

/// <summary>
/// Replaces registered secrets by <c>***</c>: as they are, each longer line of them, and their base64, base64url, URL, JSON and
/// XML forms.
/// </summary>
public sealed partial class SecretMask
{
    // Shorter strings are too likely to be ordinary words: masking them would make logs unreadable and so tell the secret's
    // length.
    private const int Shortest = 4;
    private const int ShortestLine = 8;

    private readonly Lock gate = new();
    private string[] forms = [];

    /// <summary>Registers a secret. Values shorter than 4 characters are not masked.</summary>
    public void Add(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        var found = new HashSet<string>(StringComparer.Ordinal);
        AddForms(secret, found);
        AddForms(secret.Trim(), found);
        foreach (var line in secret.Split('\n', StringSplitOptions.TrimEntries).Where(line => line.Length >= ShortestLine))
            AddForms(line, found);
        lock (gate)
        {
            found.UnionWith(forms);
            // Longest first, so that a secret that contains another one is masked whole.
            forms = [.. found.OrderByDescending(form => form.Length).ThenBy(form => form, StringComparer.Ordinal)];
        }
    }

    /// <summary>The text with each registered form replaced.</summary>
    public string Apply(string text)
    {
        foreach (var form in forms)
            text = text.Replace(form, "***", StringComparison.Ordinal);
        return text;
    }

    private static string Lower(string encoded) => Escape().Replace(encoded, match => match.Value.ToLowerInvariant());

    [GeneratedRegex("%[0-9A-F]{2}")]
    private static partial Regex Escape();

    private static void AddForms(string secret, HashSet<string> forms)
    {
        if (secret.Length < Shortest) return;
        forms.Add(secret);
        forms.Add(WebUtility.UrlEncode(secret));
        forms.Add(Uri.EscapeDataString(secret));
        forms.Add(Lower(WebUtility.UrlEncode(secret)));
        forms.Add(Lower(Uri.EscapeDataString(secret)));
        forms.Add(JavaScriptEncoder.Default.Encode(secret));
        forms.Add(JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(secret));
        forms.Add(secret.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal).Replace("\"", "&quot;", StringComparison.Ordinal));
        var bytes = Encoding.UTF8.GetBytes(secret);
        // A secret inside a longer text (user:password) appears in base64 at one of three alignments; the digits that
        // depend on the neighbours are cut off at both ends.
        for (var offset = 0; offset < 3; offset++)
        {
            var padded = new byte[offset + bytes.Length];
            bytes.CopyTo(padded, offset);
            var encoded = Convert.ToBase64String(padded).TrimEnd('=');
            var from = offset == 0 ? 0 : offset + 1;
            var until = padded.Length % 3 == 0 ? encoded.Length : encoded.Length - 1;
            if (until - from < ShortestLine) continue;
            var inner = encoded[from..until];
            forms.Add(inner);
            forms.Add(inner.Replace('+', '-').Replace('/', '_'));
        }
        forms.Add(Convert.ToBase64String(bytes));
        forms.Add(Base64Url.EncodeToString(bytes));
    }
}
