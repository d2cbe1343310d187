using System.Text.RegularExpressions;

namespace CiSteps.Layout.Tests;

/// <summary>What no file of ours contains.</summary>
public sealed partial class The_sources
{
    private const int LongestFile = 450;
    private const int LongestLine = 180;

    private static IEnumerable<string> Product => Source.Files("steps", ".cs");

    private static IEnumerable<string> Tests => Source.Files("tests", ".cs");

    [Test]
    public void Take_the_time_from_the_clock_that_they_are_given() =>
        Assert.That(Product.SelectMany(path => Source.Places(path, WallClock())), Is.Empty);

    [Test]
    public void Wait_by_the_clock_that_they_are_given() =>
        Assert.That(
            Product.SelectMany(path => Source.Places(path, Delays())).Where(place => !ByTheClock().IsMatch(place)), Is.Empty);

    [Test]
    public void Never_sleep() => Assert.That(Product.Concat(Tests).SelectMany(path => Source.Places(path, Sleeps())), Is.Empty);

    [Test]
    public void Never_catch_everything_but_in_the_one_place_where_a_program_ends() => Assert.That(Product
        .Where(path => path is not ("steps/Hosting/StepHost.cs" or "steps/Hosting/ProgramHost.cs"))
        // What is kept and thrown again later is not caught.
        .Where(path => !Source.Code(path).Contains("ExceptionDispatchInfo", StringComparison.Ordinal))
        .SelectMany(path => Source.Places(path, CatchesEverything())).Where(place => !PassesItOn().IsMatch(place)), Is.Empty);

    // The sandbox is a server: what it is sent, it answers.
    [Test]
    public void Read_json_from_outside_by_the_one_reader() => Assert.That(Product
        .Where(
            path => !path.StartsWith("steps/Hosting/Json/", StringComparison.Ordinal)
                && !path.StartsWith("steps/Sandbox/", StringComparison.Ordinal))
        .SelectMany(path => Source.Places(path, ParsesJson())), Is.Empty);

    [Test]
    public void Call_nothing_that_breaks_in_a_native_executable() =>
        Assert.That(Product.SelectMany(path => Source.Places(path, BreaksNatively())), Is.Empty);

    [Test]
    public void Test_everything_that_they_test() =>
        Assert.That(Tests.Where(path => !path.StartsWith("tests/Layout.Tests/", StringComparison.Ordinal))
            .SelectMany(path => Source.Places(path, Skips())), Is.Empty);

    // A program has no context to come back to; a library does not know who calls it.
    [Test]
    public void Leave_the_context_in_libraries_only() => Assert.That(Source.Steps.Where(project => project.IsExecutable)
        .SelectMany(project => project.Sources).SelectMany(path => Source.Places(path, LeavesTheContext())), Is.Empty);

    [Test]
    public void Are_named_for_subjects()
    {
        var folders = Product.Select(path => Path.GetDirectoryName(path)!.Replace('\\', '/'))
            .Distinct()
            .Where(folder => folder.Split('/').Any(part => EmptyFolder().IsMatch(part)));
        var types = Product.SelectMany(path => TypeNames().Matches(Source.Code(path)).Select(match => match.Groups["name"].Value)
            .Where(name => EmptyType().IsMatch(name) && !(IsKubernetes(path) && OfKubernetes().IsMatch(name)))
                .Select(name => $"{path}: {name}"));
        Assert.That(folders.Concat(types), Is.Empty);
    }

    [Test]
    public void Are_files_of_one_subject_each() =>
        Assert.That(
            Product
                .Select(path => (path, Lines: Source.Text(path).Count(letter => letter == '\n')))
                .Where(file => file.Lines > LongestFile),
            Is.Empty);

    // So that two versions of a file can be read side by side; the usual width is 130.
    [Test]
    public void Have_lines_that_a_screen_shows_whole() =>
        Assert.That(
            Product
                .Concat(Tests)
                .SelectMany(path => Source.Text(path)
                    .Split('\n')
                    .Select((line, index) => (Place: $"{path}:{index + 1}", line.TrimEnd('\r').Length)))
                .Where(line => line.Length > LongestLine),
            Is.Empty);

    [Test]
    public void Know_no_machine() => Assert.That(
        Source.Files(
            ".",
            ".cs",
            ".csproj",
            ".props",
            ".targets",
            ".json",
            ".xml",
            ".md",
            ".sh",
            ".ps1",
            ".yaml",
            ".yml",
            ".sln",
            ".editorconfig",
            "run")
            .Where(
                path => !path.EndsWith("packages.lock.json", StringComparison.Ordinal)
                    && !path.StartsWith("tests/Layout.Tests/", StringComparison.Ordinal))
            .SelectMany(path => Machines().Matches(Source.Text(path)).Select(match => $"{path}: {match.Value}")), Is.Empty);

    [GeneratedRegex(@"\bDateTime(?:Offset)?\.(?:Now|UtcNow|Today)\b")]
    private static partial Regex WallClock();

    [GeneratedRegex(
        @"\bJson(?:Node|Document|Element)\.(?:Parse|ParseAsync|ParseValue)\b" +
        @"|\bJsonSerializer\.Deserialize|\bnew\s+Utf8JsonReader\b")]
    private static partial Regex ParsesJson();

    // To the end of the statement's line: the clock stands among the arguments.
    [GeneratedRegex(@"\b(?:Task\.Delay\(|new\s+PeriodicTimer\(|new\s+(?:System\.Threading\.)?Timer\()[^\n]*")]
    private static partial Regex Delays();

    [GeneratedRegex(@"(?:\b|_)(?:time|Time|clock|TimeProvider)\b")]
    private static partial Regex ByTheClock();

    [GeneratedRegex(@"\bThread\.(?:Sleep|SpinWait)\b")]
    private static partial Regex Sleeps();

    [GeneratedRegex(@"\bcatch\s*\(\s*(?:System\.)?Exception\b[^)]*\)(?!\s*when\b)(?:\s*\{[^{}]*\})?")]
    private static partial Regex CatchesEverything();

    [GeneratedRegex(@"\bthrow;|\.SetException\(|\.TrySetException\(")]
    private static partial Regex PassesItOn();

    [GeneratedRegex(@"\bAssert\.(?:Ignore|Inconclusive)\b|\[(?:[\w.]+,\s*)*(?:Ignore|Explicit)\b")]
    private static partial Regex Skips();

    // There libgit2's growing buffers come back empty without an error, and what serialises by reflection fails.
    [GeneratedRegex(
        @"\bRepository\.Discover\(|\bprettifyMessage:\s*true\b|\bCommit\.PrettifyMessage\(" +
        @"|\bKubernetesYaml\.|\bnew\s+(?:De)?[Ss]erializerBuilder\b")]
    private static partial Regex BreaksNatively();

    [GeneratedRegex("^(?:Common|Core|Shared|Utils?|Utilities|Helpers?|Managers?|Base|Extensions|Misc)$", RegexOptions.IgnoreCase)]
    private static partial Regex EmptyFolder();

    [GeneratedRegex(@"\b(?:class|record|struct|interface|enum)\s+(?:class\s+|struct\s+)?(?<name>[A-Z]\w*)")]
    private static partial Regex TypeNames();

    [GeneratedRegex(
        "(?:Common|Core|Shared|Utils?|Helpers?|Managers?|Services?|Base|Extensions)$|^(?:Common|Shared|Core)(?=[A-Z])")]
    private static partial Regex EmptyType();

    // Services and field managers are things of Kubernetes.
    [GeneratedRegex("(?:Managers?|Services?)$")]
    private static partial Regex OfKubernetes();

    private static bool IsKubernetes(string path) =>
        path.StartsWith("steps/Sandbox/", StringComparison.Ordinal)
            || path.StartsWith("steps/Clusters/", StringComparison.Ordinal);

    [GeneratedRegex(@"(?<![\w.])/(?:wt|root|home/\w+)/|/work/(?:shared|main)|/tmp/dev\b")]
    private static partial Regex Machines();

    [GeneratedRegex(@"\.ConfigureAwait\(false\)")]
    private static partial Regex LeavesTheContext();
}
