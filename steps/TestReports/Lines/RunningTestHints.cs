using System.Text.RegularExpressions;
using CiSteps.Hosting.Messages;

namespace CiSteps.TestReports.Lines;

/// <summary>Which test runs now, from what common runners print when one begins: for naming the culprit when a time limit passes.</summary>
internal sealed partial class RunningTestHints
{
    public string? Running { get; private set; }

    public void Add(string line)
    {
        if (ServiceMessage.TryParse(line, out var message))
        {
            if (message.Name == "testStarted") Running = message["name"];
            else if (message.Name == "testFinished" && message["name"] == Running) Running = null;
            return;
        }
        if (Started().Match(line) is not { Success: true } match)
        {
            if (Running is { } running && Ended().IsMatch(line) && line.Contains(running, StringComparison.Ordinal)) Running = null;
            return;
        }
        Running = match.Groups.Cast<Group>().Skip(1).First(group => group.Success).Value.Trim();
    }

    // go test -v, gtest, surefire, NUnit's labels, jest
    [GeneratedRegex(@"^(?:=== (?:RUN|CONT|NAME)\s+(\S+)|\[ RUN      \] (\S+)|(?:\[INFO\] )?Running ((?:\w+\.)+\w+)$|=> (\S.*)$|\s*RUNS\s+(\S+))")]
    private static partial Regex Started();

    [GeneratedRegex(@"^(?:\s*--- (?:PASS|FAIL|SKIP):|\[ {2,}(?:OK|PASSED) \]|\[  (?:FAILED|SKIPPED)|(?:\[\w+\] )?Tests run:|PASS |FAIL )")]
    private static partial Regex Ended();
}
