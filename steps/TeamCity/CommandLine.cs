using System.Text;

namespace CiSteps.TeamCity;

/// <summary>Splits a command line as an agent does: blanks separate, quotes hold together, a backslash escapes a quote.</summary>
public static class CommandLine
{
    public static IReadOnlyList<string> Split(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var quote = '\0';
        var open = false;
        for (var at = 0; at < text.Length; at++)
        {
            var unit = text[at];
            if (unit == '\\' && at + 1 < text.Length && text[at + 1] is '"' or '\'')
            {
                if (text[at + 1] is '"' || quote == '\'')
                {
                    word.Append(text[++at]);
                    open = true;
                    continue;
                }
            }
            if (quote != '\0')
            {
                if (unit == quote) quote = '\0';
                else word.Append(unit);
            }
            else if (unit is '"' or '\'')
            {
                quote = unit;
                open = true;
            }
            else if (char.IsWhiteSpace(unit))
            {
                if (open) words.Add(word.ToString());
                word.Clear();
                open = false;
            }
            else
            {
                word.Append(unit);
                open = true;
            }
        }
        if (open) words.Add(word.ToString());
        return words;
    }
}
