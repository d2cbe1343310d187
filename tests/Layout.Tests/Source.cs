using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace CiSteps.Layout.Tests;

/// <summary>The repository as files: its projects and its sources.</summary>
internal static partial class Source
{
    public static string Root { get; } = FindRoot();

    /// <summary>All projects below steps/ and tests/.</summary>
    public static IReadOnlyList<SourceProject> Projects { get; } =
        [.. new[] { "steps", "tests" }
            .SelectMany(top => Files(top, ".csproj"))
            .Select(SourceProject.Read)
            .OrderBy(project => project.Path, StringComparer.Ordinal)];

    public static IEnumerable<SourceProject> Steps =>
        Projects.Where(project => project.Path.StartsWith("steps/", StringComparison.Ordinal));

    /// <summary>Paths of files with one of these endings, relative to the root, without what builds make.</summary>
    public static IEnumerable<string> Files(string top, params string[] endings)
    {
        var waiting = new Stack<string>([Path.Combine(Root, top)]);
        while (waiting.TryPop(out var folder))
        {
            foreach (var inner in Directory.EnumerateDirectories(folder))
                if (Path.GetFileName(inner) is not ("bin" or "obj" or "artifacts" or ".git" or ".ci-steps" or "TestResults"))
                    waiting.Push(inner);
            foreach (var file in Directory.EnumerateFiles(folder))
                if (endings.Length == 0 || endings.Any(ending => file.EndsWith(ending, StringComparison.Ordinal)))
                    yield return Path.GetRelativePath(Root, file).Replace('\\', '/');
        }
    }

    public static string Text(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>A C# file with comments and the inside of texts blanked out, line by line.</summary>
    public static string Code(string path) => CommentOrText().Replace(Text(path), match =>
        match.Value.StartsWith('/')
            ? new string('\n', match.Value.Count(letter => letter == '\n'))
            : "\"" + new string('\n', match.Value.Count(letter => letter == '\n')) + "\"");

    /// <summary>"path:line" of each place where the pattern is found in a file's code.</summary>
    public static IEnumerable<string> Places(string path, Regex pattern)
    {
        var code = Code(path);
        return pattern
            .Matches(code)
            .Select(match => $"{path}:{code.AsSpan(0, match.Index).Count('\n') + 1}: {match.Value.Trim()}");
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "CiSteps.sln"))) return folder.FullName;
        throw new InvalidOperationException($"no CiSteps.sln above {AppContext.BaseDirectory}");
    }

    // Comments, raw texts, and texts with escapes; interpolated code inside texts is given up with them.
    [GeneratedRegex("""
        //[^\n]*|/\*[\s\S]*?\*/|(?<quotes>"{3,})[\s\S]*?\k<quotes>|@\$?"(?:[^"]|"")*"|\$@"(?:[^"]|"")*"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'
        """, RegexOptions.CultureInvariant)]
    private static partial Regex CommentOrText();
}

/// <summary>A project file.</summary>
/// <param name="Path">Relative to the root.</param>
/// <param name="Name">Name of its folder.</param>
/// <param name="References">Folder names of the projects that it references.</param>
/// <param name="Packages">Packages that it references.</param>
/// <param name="IsExecutable">Whether something is to be run.</param>
internal sealed record SourceProject(
    string Path,
    string Name,
    IReadOnlyList<string> References,
    IReadOnlyList<string> Packages,
    bool IsExecutable)
{
    public string Folder => Path[..Path.LastIndexOf('/')];

    public IEnumerable<string> Sources => Source.Files(Folder, ".cs");

    public static SourceProject Read(string path)
    {
        var file = XDocument.Parse(Source.Text(path));
        string[] Includes(string element) =>
            [.. file.Descendants(element).Select(one => (string)one.Attribute("Include")!).Order(StringComparer.Ordinal)];
        return new SourceProject(
            path,
            path.Split('/')[^2],
            [.. Includes("ProjectReference").Select(reference => reference.Split('/', '\\')[^2])],
            Includes("PackageReference"),
            file.Descendants("OutputType").Any(type => type.Value == "Exe"));
    }

    public override string ToString() => Path;
}
