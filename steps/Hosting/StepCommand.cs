using CiSteps.Hosting.Options;

namespace CiSteps.Hosting;

/// <summary>
/// What a step can be asked, and who does it. One per executable, or a command of one; see <see cref="StepHost"/>.
/// </summary>
/// <param name="Name">The step's kebab-case name.</param>
/// <param name="Description">One sentence for <c>--help</c>: reads, does, hands over.</param>
/// <param name="Options">The step's own options, besides the common ones.</param>
/// <param name="Run">Does the step.</param>
public sealed record StepCommand(
    string Name,
    string Description,
    IReadOnlyList<StepOption> Options,
    Func<StepContext, CancellationToken, Task<Outcome>> Run)
{
    /// <summary>The program that it is a command of; null when it is an executable of its own.</summary>
    public string? Program { get; init; }

    /// <summary>Names of files in the step's evidence folder that outlive a run; all else that an earlier run left is cleared
    /// away at the start.</summary>
    public IReadOnlyList<string> Keeps { get; init; } = [];

    /// <summary>Option: the folder of the checkout.</summary>
    public static StepOption<string> WorkTree { get; } = StepOption.Text(
        "work-tree", "folder of the checkout", ".", "teamcity.build.checkoutDir");

    /// <summary>ci-steps.yaml, relative to the checkout.</summary>
    public static StepOption<string> PipelineFile { get; } = new(
        "config", "pipeline file, relative to the checkout", AsInCommits, "ci-steps.yaml");

    /// <summary>The branch being built.</summary>
    public static StepOption<string> Branch { get; } = StepOption.Text(
        "branch", "logical name of the branch being built; default: the work tree's", null, "teamcity.build.branch");

    /// <summary>The commit being built.</summary>
    public static StepOption<string> Commit { get; } = StepOption.Text(
        "commit", "full id of the commit being built; default: the work tree's", null, "build.vcs.number");

    /// <summary>The chain's build number.</summary>
    public static StepOption<string> BuildNumber { get; } = StepOption.Text(
        "build-number", "the chain's build number; default: 0-dev.<timestamp>", null, "build.number");

    internal static IReadOnlyList<StepOption> Common { get; } = [WorkTree, PipelineFile, Branch, Commit, BuildNumber];

    // Another spelling of the same path (./ci-steps.yaml) leads to the work tree's file and to none in the target's commit, so
    // that the change's own would judge.
    private static string AsInCommits(string text)
    {
        var parts = (OperatingSystem.IsWindows() ? text.Replace('\\', '/') : text).Split('/');
        if (Path.IsPathRooted(text) || parts.Contains("..") || parts[^1] is "" or ".")
            throw new FormatException("give a path from the checkout's root, such as ci-steps.yaml or build/ci-steps.yaml");
        return string.Join('/', parts.Where(part => part is not ("" or ".")));
    }
}
