using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>Narrows a test command down to tests that failed, in the framework's own filter syntax.</summary>
internal static partial class RetryFilter
{
    private const string Placeholder = "{tests}";

    /// <summary>Why the failures of a report are not run again; null when they may be.</summary>
    public static string? WhyNot(RetryDefinition retry, TestReport report)
    {
        var failing = report.Failing.ToList();
        return failing.Count > retry.MostTests
            ? $"{failing.Count} tests failed, more than the {retry.MostTests} that are run again"
            : failing.Find(test => NoSingleTest().IsMatch(test.Name)) is { } part
                ? $"\"{part.FullName}\" is not a single test, so nothing is run again"
            : null;
    }

    /// <summary>The command for just these tests.</summary>
    /// <exception cref="UsageException">A framework that has no filter here.</exception>
    public static CommandDefinition Narrow(RetryDefinition retry, CommandDefinition command, IReadOnlyList<TestCase> tests)
    {
        if (retry.Filter.Count > 0)
            return CommandLine.Append(command,
                [.. retry.Filter.SelectMany(argument => argument.Contains(Placeholder, StringComparison.Ordinal)
                ? tests.Select(test => argument.Replace(Placeholder, test.FullName, StringComparison.Ordinal)) : [argument])]);
        return retry.Framework switch
        {
            "dotnet" => CommandLine.Append(command,
                ["--filter", string.Join('|', tests.Select(MethodOf).Distinct().Select(DotNet))]),
            // node takes its options only before the files.
            "node" => CommandLine.After(command, "--test", NodePatterns(tests.Select(test => test.Name))),
            // Its cache knows the failed tests better than any report does, parameters included.
            "pytest" => CommandLine.Append(command, ["--last-failed", "--last-failed-no-failures=none"]),
            "go" => CommandLine.Before(command, "-args", ["-count=1", "-run", GoPattern(tests)]),
            "maven" or "junit" =>
                CommandLine.Append(command,
                    ["-Dtest=" + string.Join(',', tests.GroupBy(test => test.ClassName ?? "*")
                        .Select(of => of.Key + "#" + string.Join('+', of.Select(Method).Distinct()))),
                "-DfailIfNoTests=false", "-Dsurefire.failIfNoSpecifiedTests=false"]),
            "gradle" => CommandLine.Append(command,
                [.. tests.Select(MethodOf).Distinct().SelectMany(name => new[] { "--tests", name })]),
            "jest" => CommandLine.Append(command, ["--testNamePattern=" + AnyOf(tests.Select(test => test.Name))]),
            // Suites are joined with " > " in its reports and with a space in the names that it filters by.
            "vitest" => CommandLine.Append(command,
                ["--testNamePattern=" + AnyOf(tests.Select(test => test.Name.Replace(" > ", " ", StringComparison.Ordinal)))]),
            "mocha" => CommandLine.Append(command, ["--grep=" + AnyOf(tests.Select(test => test.Name))]),
            "gtest" => CommandLine.Append(command,
                ["--gtest_filter=" + string.Join(':', tests.Select(test => test.FullName).Distinct())]),
            _ => throw new UsageException($"\"{retry.Framework}\" is not a framework whose tests can be run again; give " +
                $"{string.Join(", ", RetryDefinition.Frameworks)}, or a filter of your own"),
        };
    }

    /// <summary>The command for all tests but these; null where the framework has no filter for that here.</summary>
    public static CommandDefinition? Exclude(Runner runner, CommandDefinition command, IReadOnlyList<TestCase> tests) =>
        runner.Name switch
        {
            "dotnet" => CommandLine.Append(command,
                ["--filter", string.Join('&', tests.Select(MethodOf).Distinct()
                .Select(name => "FullyQualifiedName!" + DotNet(name)["FullyQualifiedName".Length..]))]),
            // A class's name alone would leave out all of it.
            "maven" when tests.All(test => test.ClassName is not null) => CommandLine.Append(command,
                ["-Dtest=" + string.Join(',', tests.Select(test => $"!{test.ClassName}#{Method(test)}")
                .Distinct()), "-DfailIfNoTests=false", "-Dsurefire.failIfNoSpecifiedTests=false"]),
            "jest" => CommandLine.Append(command, ["--testNamePattern=" + NoneOf(tests.Select(test => test.Name))]),
            "vitest" => CommandLine.Append(command,
                ["--testNamePattern=" + NoneOf(tests.Select(test => test.Name.Replace(" > ", " ", StringComparison.Ordinal)))]),
            // A suite's name and the test's, as node itself puts them together.
            "node" => CommandLine.After(command, "--test", [.. tests.Select(test => "--test-skip-pattern=^"
            + JavaScript(string.Join(' ', test.Suites.Append(test.Name))) + "$").Distinct()]),
            "mocha" => CommandLine.Append(command, ["--grep=" + NoneOf(tests.Select(test => test.Name))]),
            "gtest" => CommandLine.Append(command,
                ["--gtest_filter=-" + string.Join(':', tests.Select(test => test.FullName).Distinct())]),
            _ => null,
        };

    /// <summary>A second command for failed tests that the first did not reach; null where there is none.</summary>
    public static CommandDefinition? Widen(RetryDefinition retry, CommandDefinition command, IReadOnlyList<TestCase> missed) =>
        // In node a test inside of a test is reached only through its parents; inside of a suite it is reached by itself, and the
        // suite's name would run all of it.
        retry is { Framework: "node", Filter.Count: 0 } && missed.Any(test => test.Suites.Count > 0)
            ? CommandLine.After(command, "--test", NodePatterns(missed.SelectMany(test => test.Suites.Append(test.Name)))) : null;

    private static string[] NodePatterns(IEnumerable<string> names) =>
        [.. names.Distinct().Select(name => $"--test-name-pattern=(^|\\s){JavaScript(name)}$")];

    // At the end of the full name: whether a report's name has the suites in it depends on the reporter's settings.
    private static string AnyOf(IEnumerable<string> names) =>
        "(^|\\s)(" + string.Join('|', names.Select(JavaScript).Distinct()) + ")$";

    private static string NoneOf(IEnumerable<string> names) => "^(?!(.*\\s)?("
        + string.Join('|', names.Select(JavaScript).Distinct()) + ")$)";

    // XML makes line ends and tabs in a name to spaces.
    private static string JavaScript(string name) => string.Join("\\s+", WhiteSpace().Split(name).Select(Regex.Escape));

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    // Names that TestReports gives to failures outside of any test.
    [GeneratedRegex(@"^\((package|suite|run|all|assembly|no name|one-time \w+)\)$")]
    private static partial Regex NoSingleTest();

    private static string Method(TestCase test) => Plain(test.Method ?? test.Name);

    private static string MethodOf(TestCase test)
    {
        var method = Method(test);
        return test.ClassName is null || method.StartsWith(test.ClassName + ".", StringComparison.Ordinal)
            ? method
            : test.ClassName + "." + method;
    }

    // Without parameters: filters by name do not take them alike, and a row too many does no harm.
    private static string Plain(string name) => name.IndexOfAny(['(', '[', '{', ' ']) is > 0 and var end ? name[..end] : name;

    // "Contains", because NUnit's full names have parameters and xUnit's have none, and NUnit's adapter breaks on a name that
    // ends in an escaped bracket.
    private static string DotNet(string name) =>
        "FullyQualifiedName~" + Regex.Replace(name, @"[\\()&|=!~]", match => "\\" + match.Value);

    private static string GoPattern(IReadOnlyList<TestCase> tests)
    {
        var names = tests.Select(test => test.Name.Split('/')).ToList();
        // A level that one of them does not have would filter away its own subtests.
        var depth = names.Min(levels => levels.Length);
        return string.Join(
            '/',
            Enumerable
                .Range(0, depth)
                .Select(level => "^(" + string.Join('|', names.Select(levels => Regex.Escape(levels[level])).Distinct()) + ")$"));
    }
}
