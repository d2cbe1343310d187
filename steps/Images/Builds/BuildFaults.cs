using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Whose fault a failed build is, from the texts of either builder: nothing better than text is given.</summary>
public static partial class BuildFaults
{
    /// <summary>
    /// The failure as a step ends with it where it is not the author's; null where the Dockerfile or one of its commands is at
    /// fault.
    /// </summary>
    /// <param name="failure">What the builder said.</param>
    /// <param name="what">What was being done, such as <c>cannot build "web"</c>.</param>
    /// <param name="frontEnd">What the Dockerfile's <c># syntax=</c> names; null: nothing.</param>
    /// <returns><see cref="UnavailableException"/> for what is outside, <see cref="UsageException"/> for an image that does not
    /// exist.</returns>
    public static Exception? Find(ImageBuildException failure, string what, string? frontEnd)
    {
        ArgumentNullException.ThrowIfNull(failure);
        var text = failure.EngineText;
        if (CommandEnded().IsMatch(text)) return OfCommand(failure, what);
        if (EngineFaults.Find(text, frontEnd) is { } fault) return EngineFaults.ToStepFailure(fault, what, text, failure);
        if (Gone().IsMatch(text)) return EngineFaults.ToStepFailure(EngineFault.Gone, what, text, failure);
        return OfFetch(failure, what);
    }

    /// <summary>The Dockerfile's front end; null when it names none.</summary>
    public static string? FrontEndOf(string text, string name) => Dockerfile.Parse(text, name).Syntax?.Value;

    // A command's own words prove nothing, but for what the runtime says in its place and for a disk without room.
    private static Exception? OfCommand(ImageBuildException failure, string what)
    {
        // The engine's own builder says of its runtime that it failed, and never that a command ended: there these lines are the
        // command's.
        var isBuildKit = !failure.EngineText.Contains("returned a non-zero code", StringComparison.Ordinal);
        if (isBuildKit && failure.LastLines.FirstOrDefault(line => Runtime().IsMatch(line)) is { } said
            && EngineFaults.Find(said) is { } fault)
            return EngineFaults.ToStepFailure(fault, what, said, failure);
        return failure.LastLines.FirstOrDefault(
            line => line.Contains("no space left on device", StringComparison.OrdinalIgnoreCase)) is { } full
            ? new UnavailableException(
                "engine",
                $"{what}: \"{failure.Instruction}\" found no room ({full.Trim()}); make room on the container engine's disk "
                    + "(docker system df, docker system prune), or, where the command fills a file system with a limit of its " +
                        "own, mend the command", failure)
            : null;
    }

    // Bases are resolved and their layers fetched while the build runs.
    private static Exception? OfFetch(ImageBuildException failure, string what)
    {
        var text = failure.EngineText;
        var isFrom = failure.Instruction.StartsWith("FROM ", StringComparison.OrdinalIgnoreCase);
        if (!isFrom && !Fetch().IsMatch(text)) return null;
        var reference = Resolved().Match(text) is { Success: true } match
            ? match.Groups[1].Value
            : isFrom ? failure.Instruction[5..].Split(' ')[0] : "";
        var kind = ImagePullException.Classify(text);
        if (kind == ImagePullFailure.Other)
            return isFrom && !Fetch().IsMatch(text)
                ? null
                : new UnavailableException("registry-unreachable", $"{what}: {text}; see whether the registry is up", failure);
        return reference.Length > 0 ? new ImagePullException(kind, reference, text, failure).ToStepFailure()
            : kind == ImagePullFailure.Unreachable
                ? new UnavailableException(
                    "registry-unreachable",
                    $"{what}: {text}; see whether it is up and reached from the container engine",
                    failure)
                : null;
    }

    [GeneratedRegex(
        @"did not complete successfully: exit code: \d+|executor failed running \[.*\]: exit code: \d+" +
        @"|returned a non-zero code: \d+|while running runtime: exit status \d+")]
    private static partial Regex CommandEnded();

    [GeneratedRegex(@"^(?:runc |crun |OCI runtime|container_linux\.go|unable to start container)")]
    private static partial Regex Runtime();

    [GeneratedRegex(
        @"unexpected EOF$|connection reset by peer$|closed network connection|no active sessions?" +
        @"|session healthcheck failed|use of closed|context canceled$",
        RegexOptions.IgnoreCase)]
    private static partial Regex Gone();

    [GeneratedRegex(
        @"failed to resolve source metadata|failed to do request|failed to copy: " +
        @"|failed to fetch (?:anonymous |oauth )?token|failed to authorize|Get ""?https?://|dial tcp|httpReadSeeker" +
        @"|pinging container registry|initializing source",
        RegexOptions.IgnoreCase)]
    private static partial Regex Fetch();

    [GeneratedRegex(
        @"failed to resolve source metadata for ([^\s:]+(?::[0-9]+(?=/))?[^\s:]*(?::[^\s:]+)?(?:@sha256:[0-9a-f]+)?)")]
    private static partial Regex Resolved();
}
