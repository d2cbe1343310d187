using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>The message of the commit that lands, from a template.</summary>
internal static partial class MergeMessage
{
    /// <summary>The template of a merge commit, unless another one is given.</summary>
    public const string OfMerge = "Merge {branch} (build {build}): {subject}\n\nTested-by: chain {chain} ({tests})";

    /// <summary>The template of the one commit that a change becomes.</summary>
    public const string OfSquash = "{subject}\n\n{body}\n\nTested-by: chain {chain} ({tests})\n{co-authors}";

    /// <summary>What a template may name.</summary>
    public static readonly IReadOnlyList<string> Names =
        ["authors", "body", "branch", "build", "chain", "co-authors", "commit", "subject", "target", "tests"];

    /// <summary>Refuses a template that names something else.</summary>
    /// <exception cref="FormatException">It does.</exception>
    public static string Check(string template)
    {
        foreach (Match name in Place().Matches(template))
            if (!Names.Contains(name.Groups[1].Value))
                throw new FormatException($"there is nothing called \"{name.Value}\"; give " +
                    string.Join(", ", Names.Select(each => $"{{{each}}}")));
        return template.Replace("\\n", "\n", StringComparison.Ordinal);
    }

    /// <summary>The message; it always ends with the commit that was tested.</summary>
    public static string Of(string template, IReadOnlyDictionary<string, string> values)
    {
        // What is put in is not read for names again: a branch may be called {tests}.
        var text = Place().Replace(template, name => values[name.Groups[1].Value]);
        text = Gaps().Replace(text.ReplaceLineEndings("\n"), "\n\n").Trim();
        var tested = NewCommit.Tested + values["commit"];
        if (text.Split('\n').Contains(tested)) return text;
        var last = text[(text.LastIndexOf("\n\n", StringComparison.Ordinal) + 1)..];
        return text
            + (Trailer().IsMatch(last.Trim().Split('\n')[^1]) && text.Contains("\n\n", StringComparison.Ordinal) ? "\n" : "\n\n")
                + tested;
    }

    /// <summary>Trailers for who wrote it, beside the one who is the author already.</summary>
    public static string CoAuthors(IEnumerable<CommitPerson> authors, CommitPerson author) =>
        string.Join("\n", authors.Where(each => each != author).Select(each => $"Co-authored-by: {each}"));

    [GeneratedRegex(@"\{([a-z-]+)\}")]
    private static partial Regex Place();

    [GeneratedRegex(@"\n{3,}")]
    private static partial Regex Gaps();

    [GeneratedRegex(@"^[A-Za-z][A-Za-z-]*: ")]
    private static partial Regex Trailer();
}
