namespace CiSteps.Hosting;

/// <summary>
/// The globs of ci-steps.yaml, a list over relative paths with <c>/</c>: <c>*</c> and <c>?</c> inside a name, <c>**</c> for any
/// number of folders, <c>{a,b}</c> for either; an entry that begins with <c>!</c> takes away again, the last entry that matches
/// decides. <c>dir/**</c> takes <c>dir</c> itself too (a submodule is one path). Upper and lower case differ.
/// </summary>
public sealed class PathGlobs
{
    // {a,b}{c,d}… multiplies; nobody writes this many by hand.
    private const int MostAlternatives = 256;

    private readonly List<(bool Takes, string[] Segments)> entries = [];

    private PathGlobs()
    {
    }

    /// <summary>Reads a list.</summary>
    /// <exception cref="FormatException">An entry is not a glob, or the list can match nothing.</exception>
    public static PathGlobs Parse(IReadOnlyList<string> globs)
    {
        ArgumentNullException.ThrowIfNull(globs);
        var parsed = new PathGlobs();
        foreach (var glob in globs)
        {
            var takes = !glob.StartsWith('!');
            foreach (var plain in Alternatives(takes ? glob : glob[1..], glob))
                parsed.entries.Add((takes, Segments(plain, glob)));
        }
        if (globs.Count > 0 && parsed.entries.TrueForAll(entry => !entry.Takes))
            throw new FormatException("a list of exclusions alone takes nothing; begin with \"**\"");
        return parsed;
    }

    /// <summary>Whether the list takes a path.</summary>
    public bool Matches(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var names = path.Split('/');
        for (var at = entries.Count - 1; at >= 0; at--)
            if (Matches(entries[at].Segments, names)) return entries[at].Takes;
        return false;
    }

    /// <summary>The files below a folder that the list takes, as relative paths, sorted. Folders named <c>.git</c> and
    /// <c>.ci-steps</c> are not entered, nor are links to folders, which could lead out or in circles, but where an entry names
    /// the link in full (<c>bazel-testlogs/**</c>).</summary>
    public IReadOnlyList<string> FilesUnder(string folder)
    {
        var found = new List<string>();
        var waiting = new Stack<(DirectoryInfo Folder, string Prefix)>([(new DirectoryInfo(folder), "")]);
        while (waiting.TryPop(out var next))
        {
            if (!next.Folder.Exists) continue;
            foreach (var entry in next.Folder.EnumerateFileSystemInfos())
            {
                var path = next.Prefix + entry.Name;
                if (entry is FileInfo)
                {
                    if (Matches(path)) found.Add(path);
                }
                else if (entry.Name is not (".git" or ".ci-steps") && MayBeBelow(path)
                    && (entry.LinkTarget is null || entries.Exists(one => one.Takes && IsNamed(one.Segments, path.Split('/')))))
                    waiting.Push(((DirectoryInfo)entry, path + "/"));
            }
        }
        found.Sort(StringComparer.Ordinal);
        return found;
    }

    private static bool IsNamed(string[] segments, string[] names) => segments.Length > names.Length
        && segments.AsSpan(0, names.Length).SequenceEqual(names) && !names.Any(name => name.AsSpan().ContainsAny('*', '?'));

    /// <summary>Whether some entry can take a path below the folder; saves walking through all of a large tree.</summary>
    public bool MayBeBelow(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        var names = folder.Split('/');
        return entries.Exists(entry => entry.Takes && Begins(entry.Segments, names));

        static bool Begins(string[] segments, string[] names)
        {
            for (var at = 0; at < names.Length; at++)
            {
                if (at >= segments.Length) return false;
                if (segments[at] == "**") return true;
                if (!MatchesName(segments[at], names[at])) return false;
            }
            return segments.Length > names.Length;
        }
    }

    private static bool Matches(ReadOnlySpan<string> segments, ReadOnlySpan<string> names)
    {
        // Where to go on when the latest ** has to take one name more; an earlier ** never needs another try.
        int segment = 0, name = 0, retrySegment = -1, retryName = 0;
        while (name < names.Length)
        {
            if (segment < segments.Length && segments[segment] == "**")
            {
                retrySegment = ++segment;
                retryName = name;
            }
            else if (segment < segments.Length && MatchesName(segments[segment], names[name]))
            {
                segment++;
                name++;
            }
            else if (retrySegment >= 0)
            {
                segment = retrySegment;
                name = ++retryName;
            }
            else return false;
        }
        while (segment < segments.Length && segments[segment] == "**") segment++;
        return segment == segments.Length;
    }

    private static bool MatchesName(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        int at = 0, letter = 0, retryAt = -1, retryLetter = 0;
        while (letter < name.Length)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                retryAt = ++at;
                retryLetter = letter;
            }
            else if (at < pattern.Length && (pattern[at] == '?' || pattern[at] == name[letter]))
            {
                at++;
                letter++;
            }
            else if (retryAt >= 0)
            {
                at = retryAt;
                letter = ++retryLetter;
            }
            else return false;
        }
        while (at < pattern.Length && pattern[at] == '*') at++;
        return at == pattern.Length;
    }

    private static string[] Segments(string glob, string shown)
    {
        if (glob.Length == 0) throw new FormatException($"\"{shown}\" is an empty glob");
        if (glob.Contains('\\')) throw new FormatException($"\"{shown}\" has a backslash; write paths with /");
        if (glob.StartsWith('/'))
            throw new FormatException($"\"{shown}\" begins with /; globs are relative to the repository's root");
        var segments = glob.TrimEnd('/').Split('/');
        foreach (var segment in segments)
        {
            if (segment is "" or "." or "..")
                throw new FormatException(
                    $"\"{shown}\" has the part \"{segment}\"; write the plain path from the repository's root");
            if (segment.Contains("**", StringComparison.Ordinal) && segment != "**")
                throw new FormatException($"\"{shown}\" has ** beside other characters; ** stands alone between slashes");
        }
        // "dir/" is the folder with all in it.
        return glob.EndsWith('/') ? [.. segments, "**"] : segments;
    }

    private static List<string> Alternatives(string glob, string shown)
    {
        var done = new List<string>();
        var open = new Stack<string>([glob]);
        while (open.TryPop(out var next))
        {
            var start = next.IndexOf('{');
            if (start < 0)
            {
                if (next.Contains('}')) throw new FormatException($"\"{shown}\" has a }} without {{");
                done.Add(next);
                if (done.Count > MostAlternatives)
                    throw new FormatException($"\"{shown}\" stands for more than {MostAlternatives} globs; write it as several");
                continue;
            }
            var parts = new List<string>();
            int depth = 0, partStart = start + 1, end = -1;
            for (var at = start; at < next.Length && end < 0; at++)
            {
                if (next[at] == '{') depth++;
                else if (next[at] == '}' && --depth == 0) end = at;
                else if (next[at] == ',' && depth == 1)
                {
                    parts.Add(next[partStart..at]);
                    partStart = at + 1;
                }
            }
            if (end < 0) throw new FormatException($"\"{shown}\" has a {{ without }}");
            parts.Add(next[partStart..end]);
            for (var part = parts.Count - 1; part >= 0; part--) open.Push(next[..start] + parts[part] + next[(end + 1)..]);
            if (open.Count > MostAlternatives)
                throw new FormatException($"\"{shown}\" stands for more than {MostAlternatives} globs; write it as several");
        }
        return done;
    }
}
