using System.Text.RegularExpressions;
using CiSteps.Hosting.Messages;

namespace CiSteps.TestReports.Lines;

/// <summary>
/// Which test runs now or ended last, from what common runners print: for naming the culprit when a time limit passes.
/// </summary>
internal sealed partial class RunningTestHints
{
    public string? Running { get; private set; }

    public string? Ended { get; private set; }

    public void Add(string line)
    {
        if (ServiceMessage.TryParse(line, out var message))
        {
            if (message.Name == "testStarted") Running = message["name"];
            else if (message.Name == "testFinished") End(message["name"]);
            return;
        }
        if (Started().Match(line) is { Success: true } started)
        {
            Running = Name(started);
            return;
        }
        if (Running is { } running && Closing().IsMatch(line) && line.Contains(running, StringComparison.Ordinal)) End(running);
        else if (Finished().Match(line) is { Success: true } finished) End(Name(finished));
    }

    private void End(string? name)
    {
        Ended = name;
        if (Running == name) Running = null;
    }

    private static string Name(Match match) => match.Groups.Cast<Group>().Skip(1).First(group => group.Success).Value.Trim();

    // go test -v, gtest, surefire, NUnit's labels, jest, pytest -v and prove (both end the line when the test does)
    [GeneratedRegex(
        @"^(?:=== (?:RUN|CONT|NAME)\s+(\S+)|\[ RUN      \] (\S+)|(?:\[INFO\] )?Running ((?:\w+\.)+\w+)$|=> (\S.*)$" +
        @"|\s*RUNS\s+(\S+)|(\S+\.py::\S[^\n]*?)\s*$(?<!(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)[^:]*)|(\S+\.t) \.+\s*$)")]
    private static partial Regex Started();

    [GeneratedRegex(
        @"^(?:\s*--- (?:PASS|FAIL|SKIP):|\[ {2,}(?:OK|PASSED) \]|\[  (?:FAILED|SKIPPED)|(?:\[\w+\] )?Tests run:|PASS |FAIL )")]
    private static partial Regex Closing();

    // dotnet's console logger, node's and mocha's spec, jest and vitest, pytest -v
    [GeneratedRegex(
        @"^(?:\s+(?:Passed|Failed|Skipped) (\S.*?)|\s*[✓✔√✕✖×] (\S.*?)" +
        @"|(\S+\.py::\S.*?) (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS).*?)(?:\s+[\[(]<?\s*[\d.,]+\s?m?s[\])])?\s*$")]
    private static partial Regex Finished();
}
