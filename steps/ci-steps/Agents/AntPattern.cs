using System.Text;
using System.Text.RegularExpressions;

namespace CiSteps.Cli.Agents;

/// <summary>
/// A pattern of TeamCity's artifact rules: <c>?</c>, <c>*</c> within a name, <c>**</c> over folders. It is the server's dialect,
/// not that of ci-steps.yaml (<see cref="Hosting.PathGlobs"/>): braces and <c>!</c> are plain letters in it, and what a target
/// keeps is relative to the folder above the first wildcard.
/// </summary>
internal sealed class AntPattern
{
    private readonly Regex regex;

    public AntPattern(string pattern)
    {
        pattern = pattern.Replace('\\', '/').Trim('/');
        if (pattern.StartsWith("./", StringComparison.Ordinal)) pattern = pattern[2..];
        Text = pattern;
        HasWildcard = pattern.AsSpan().IndexOfAny('*', '?') >= 0;
        var segments = pattern.Split('/');
        var fixedSegments = segments.TakeWhile(segment => segment.AsSpan().IndexOfAny('*', '?') < 0).Count();
        Root = string.Join('/', segments[..(HasWildcard ? fixedSegments : segments.Length - 1)]);
        regex = new Regex(ToRegex(segments), RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));
    }

    public string Text { get; }

    public bool HasWildcard { get; }

    /// <summary>The folder above the first wildcard: what a target keeps is relative to it.</summary>
    public string Root { get; }

    public bool Matches(string path) => regex.IsMatch(path);

    private static string ToRegex(string[] segments)
    {
        var text = new StringBuilder("^");
        for (var at = 0; at < segments.Length; at++)
        {
            var last = at == segments.Length - 1;
            if (segments[at] == "**")
            {
                text.Append(last ? ".*" : "(?:[^/]+/)*");
                continue;
            }
            foreach (var unit in segments[at])
                text.Append(unit switch { '*' => "[^/]*", '?' => "[^/]", _ => Regex.Escape(unit.ToString()) });
            if (!last) text.Append('/');
        }
        return text.Append('$').ToString();
    }
}
