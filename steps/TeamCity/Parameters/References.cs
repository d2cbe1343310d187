using System.Text;

namespace CiSteps.TeamCity.Parameters;

/// <summary>References <c>%name%</c> in a text; <c>%%</c> is a percent sign.</summary>
public static class References
{
    /// <summary>The names that the text refers to, in order, with doubles.</summary>
    public static IReadOnlyList<string> In(string text)
    {
        var names = new List<string>();
        Walk(text, _ => { }, names.Add);
        return names;
    }

    /// <summary>The text with each reference replaced and each <c>%%</c> made one.</summary>
    public static string Replace(string text, Func<string, string> valueOf)
    {
        if (!text.Contains('%', StringComparison.Ordinal)) return text;
        var replaced = new StringBuilder(text.Length);
        Walk(text, plain => replaced.Append(plain), name => replaced.Append(valueOf(name)));
        return replaced.ToString();
    }

    /// <summary>The text with percent signs doubled, so that resolving gives it back.</summary>
    public static string Escape(string text) => text.Replace("%", "%%", StringComparison.Ordinal);

    private static void Walk(string text, Action<string> plain, Action<string> reference)
    {
        var from = 0;
        while (from < text.Length)
        {
            var open = text.IndexOf('%', from);
            if (open < 0) break;
            plain(text[from..open]);
            if (open + 1 < text.Length && text[open + 1] == '%')
            {
                plain("%");
                from = open + 2;
                continue;
            }
            var close = text.IndexOf('%', open + 1);
            if (close > open && IsName(text.AsSpan(open + 1, close - open - 1)))
            {
                reference(text[(open + 1)..close]);
                from = close + 1;
                continue;
            }
            // A lone percent sign, as in "50% done", is text.
            plain("%");
            from = open + 1;
        }
        if (from < text.Length) plain(text[from..]);
    }

    // Names of parameters, and of VCS root properties, which hold a colon.
    private static bool IsName(ReadOnlySpan<char> name)
    {
        if (name.IsEmpty || !(char.IsAsciiLetter(name[0]) || name[0] == '_')) return false;
        foreach (var unit in name)
            if (!char.IsAsciiLetterOrDigit(unit) && unit is not ('.' or '_' or '-' or '*' or ':')) return false;
        return true;
    }
}
