using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest;

/// <summary>
/// What is known of the runner behind a command: the exit codes with which it says that tests failed, whether they say that
/// alone,
/// what makes it stop before all tests ran, and how it is made to go on. README.md of this folder has it as a table.
/// </summary>
/// <param name="Name">One of <see cref="RetryDefinition.Frameworks"/>, <c>ctest</c>, <c>cargo</c>, <c>phpunit</c>, or empty when
/// it is not known.</param>
internal sealed partial record Runner(string Name)
{
    private const string MavenGoesOn = "maven.test.failure.ignore";

    // What each option means is the runner's own; only the ones that stop it at a failed test stand here.
    private static readonly Dictionary<string, string[]> Stopping = new(StringComparer.Ordinal)
    {
        ["pytest"] = ["-x", "--exitfirst", "--maxfail"],
        ["jest"] = ["--bail", "-b"],
        ["vitest"] = ["--bail"],
        ["mocha"] = ["--bail", "-b"],
        ["go"] = ["-failfast", "--failfast", "-test.failfast"],
        ["gtest"] = ["--gtest_fail_fast", "--gtest_break_on_failure"],
        ["ctest"] = ["--stop-on-failure"],
        ["dotnet"] = [
            "NUnit.StopOnError",
            "RunConfiguration.StopOnError",
            "xUnit.StopOnFail",
            "--maximum-failed-tests",
            "--stop-on-fail"
        ],
        ["maven"] = ["-ff", "--fail-fast"],
        ["cargo"] = ["--fail-fast"],
        ["phpunit"] = ["--stop-on-failure", "--stop-on-error", "--stop-on-defect"],
    };

    /// <summary>The runner that the configuration names, or else the one whose program the command starts.</summary>
    public static Runner Of(TestRunDefinition definition) =>
        new((definition.Retry?.Framework is "junit" ? "maven"
            : definition.Retry?.Framework) ?? Started(definition.Command) ?? "");

    /// <summary>
    /// Whether it ends with this code when tests failed. Of a runner that is not known only 1 is taken for that.
    /// </summary>
    public bool SaysTestsFailed(int exit, TestReport report) => Name switch
    {
        "ctest" => exit == 8,
        // libtest's, and nextest's.
        "cargo" => exit is 100 or 101,
        // Errors have a code of their own.
        "phpunit" => exit is 1 or 2,
        // vstest's code and the one of Microsoft's testing platform.
        "dotnet" => exit is 1 or 2,
        "mocha" => exit == Failures(report) || exit == 1,
        _ => exit == 1,
    };

    /// <summary>
    /// Whether the code says that tests failed and nothing else: what fails besides has another code, or stands in the report.
    /// </summary>
    public bool SaysOnlyThat(int exit, TestReport report) => Name switch
    {
        "pytest" => exit == 1,
        "ctest" => exit == 8,
        "dotnet" => exit == 2,
        "go" => exit == 1 && report.Format == ReportFormat.GoJson,
        "mocha" => exit == Failures(report),
        _ => false,
    };

    /// <summary>
    /// Whether a green run of just the failed tests says that the first run came to all others. A program that is not known may
    /// be
    /// anything; node does not tell when a test file ends its process by itself after a failed test.
    /// </summary>
    public bool TryTellsAll => Name.Length > 0 && Name != "node";

    /// <summary>
    /// The command as it runs where failures may be excused: it goes on after a failed test as far as this runner can be told to.
    /// </summary>
    /// <param name="command">As configured.</param>
    /// <param name="initScript">Where Gradle finds the script that lets it go on, see <see cref="GradleScript"/>.</param>
    /// <param name="isNamed">Whether the configuration names the runner, and with that says that arguments of the command reach
    /// it.</param>
    public CommandDefinition GoingOn(CommandDefinition command, string initScript, bool isNamed)
    {
        if (!isNamed && Started(command) != Name) return command;
        var plain = CommandLine.Without(command, Stopping.GetValueOrDefault(Name, []));
        return Name switch
        {
            "pytest" => CommandLine.Append(plain, ["--maxfail=0"]),
            "vitest" => CommandLine.Append(plain, ["--bail=0"]),
            "mocha" => CommandLine.Append(plain, ["--no-bail"]),
            "cargo" when !Has(command, "--no-fail-fast") => CommandLine.Append(plain, ["--no-fail-fast"]),
            "maven" when !Has(command, MavenGoesOn) => CommandLine.Append(plain, [$"-D{MavenGoesOn}=true"]),
            "gradle" => CommandLine.Append(plain, ["--init-script", initScript, "--continue"]),
            _ => plain,
        };
    }

    /// <summary>
    /// Whether a command that goes on ends with 0 although tests failed, so that any other code means something besides them.
    /// </summary>
    public bool EndsWithZero(CommandDefinition command) => Name switch
    {
        "maven" => Has(command, MavenGoesOn + "=true"),
        "gradle" => Has(command, "--init-script"),
        _ => false,
    };

    /// <summary>What of the command stops it before all tests ran, in words; null when nothing is known to.</summary>
    public string? Stops(CommandDefinition command)
    {
        var text = CommandLine.Text(command) is { Length: > 0 } line ? line : string.Join(' ', command.Run);
        var names = Stopping.TryGetValue(Name, out var own) ? own
            : [.. Stopping.Values.SelectMany(options => options).Where(option => option.Length > 3)];
        if (Array.Find(names, IsGiven) is { } found)
            return Name == "pytest" && text.Contains("--maxfail=0", StringComparison.Ordinal) ? null
                : $"\"{found}\" stops it at the first failed test";
        return Name switch
        {
            "maven" when !EndsWithZero(command) => $"Maven leaves out modules behind one whose tests failed, unless it is told " +
                $"-D{MavenGoesOn}=true",
            "cargo" when !text.Contains("--no-fail-fast", StringComparison.Ordinal) =>
                "cargo leaves out test programs behind one that failed, unless it is told --no-fail-fast",
            "gradle" when !EndsWithZero(command) => "Gradle leaves out tasks behind one whose tests failed",
            _ => null,
        };

        bool IsGiven(string option) =>
            Regex.IsMatch(text, $@"(^|\s){Regex.Escape(option)}(?=$|[\s=0-9])(?!=(0|false)(\s|$))", RegexOptions.IgnoreCase);
    }

    /// <summary>Go's options in <c>GOFLAGS</c> without the one that stops it at a failed test.</summary>
    public static string WithoutFailFast(string flags) => string.Join(' ', flags.Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Where(flag => !Regex.IsMatch(flag, @"^--?(test\.)?failfast(=|$)")));

    /// <summary>What Gradle is told to go on with: tests that failed do not fail its build, everything else does.</summary>
    public const string GradleScript = "allprojects { tasks.withType(Test) { ignoreFailures = true } }\n";

    // mocha's code is how many tests failed.
    private static int Failures(TestReport report) => Math.Min(report.Notable.Count(test => test.IsFailure), 255);

    private static bool Has(CommandDefinition command, string text) =>
        command.Run.Any(word => word.Contains(text, StringComparison.Ordinal));

    /// <summary>
    /// Why an exit code of the command cannot be known to be the runner's own, in words; null when it is. Of several programs the
    /// code may be another's, or some of them may never have run.
    /// </summary>
    /// <param name="command">The command.</param>
    /// <param name="workTree">Where its folder is: a file there that begins with <c>#!</c> is a script whatever its name
    /// is.</param>
    public string? WhyNotItsOwn(CommandDefinition command, string workTree)
    {
        if (!CommandLine.IsOne(command))
            return "it is a script that is more than one simple command, so the code may be another program's, " +
                "or one may never have run";
        // gtest's programs, and those of a runner that is not known, have names of their own.
        var isStarted = Name is "gtest" or "" ? !Launcher().IsMatch(CommandLine.Text(command)) && !IsScript(command, workTree)
            : Started(command) == Name;
        return isStarted ? null
            : Name.Length == 0 ? "it starts a script, so the code may be of any program in it, or one may never have run"
            : $"it does not start {Name} itself, so the code may be another program's, or one may never have run";
    }

    private static bool IsScript(CommandDefinition command, string workTree)
    {
        var program = Array.Find(CommandLine.Text(command).Split(' '), word => !Assignment().IsMatch(word)) ?? "";
        if (!program.Contains('/', StringComparison.Ordinal)) return false;
        try
        {
            using var file = File.OpenRead(Path.Combine(workTree, command.Folder, program));
            return file.ReadByte() == '#' && file.ReadByte() == '!';
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It is in the container's image, or not for this user to read: nobody knows.
            return true;
        }
    }

    private static string? Started(CommandDefinition command)
    {
        var text = CommandLine.Text(command);
        return text.Length == 0 ? null
            : Pytest().IsMatch(text) ? "pytest"
            : Program(@"go\s+test") ? "go"
            : Program(@"dotnet\s+test") ? "dotnet"
            : Program("mvnw?") ? "maven"
            : Program("gradlew?") ? "gradle"
            : Program(@"node\s+(\S+\s+)*?--test") ? "node"
            : Program("ctest") ? "ctest"
            : Program(@"cargo\s+(test|nextest)") ? "cargo"
            : Program("phpunit") ? "phpunit"
            : Program(@"((npx|pnpm\s+exec|yarn\s+exec)\s+(--\S+\s+)*)?jest") ? "jest"
            : Program(@"((npx|pnpm\s+exec|yarn\s+exec)\s+(--\S+\s+)*)?vitest") ? "vitest"
            : Program(@"((npx|pnpm\s+exec|yarn\s+exec)\s+(--\S+\s+)*)?mocha") ? "mocha"
            : null;

        bool Program(string pattern) =>
            Regex.IsMatch(text, $@"^(\w+=\S*\s+)*(\S*/)?{pattern}(\.cmd|\.bat|\.exe|\.js|\.mjs)?(\s|$)");
    }

    [GeneratedRegex(@"^\w+=")]
    private static partial Regex Assignment();

    [GeneratedRegex(@"^(\w+=\S*\s+)*(\S*/)?(pytest|py\.test|python[\d.]*\s+-m\s+pytest)(\s|$)")]
    private static partial Regex Pytest();

    [GeneratedRegex(
        @"^(\w+=\S*\s+)*(\S*/)?((ba|da|z|k)?sh|busybox|env|npm|npx|yarn|pnpm|bun|g?make|ninja|just|task|bazel)(\s|$)" +
            @"|^(\w+=\S*\s+)*\S+\.(sh|bash|py|pl|rb|cmd|bat|ps1)(\s|$)")]
    private static partial Regex Launcher();
}
