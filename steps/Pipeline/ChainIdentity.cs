using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>Works out branch, commit, build number and state of the work tree.</summary>
internal static class ChainIdentity
{
    private const string Reference = "refs/heads/";
    private const string TeamCityDefault = "<default>";

    /// <summary>The commit being built, which must be the one that is checked out.</summary>
    public static string Commit(StepContext context, WorkRepository repository)
    {
        var head = repository.HeadCommit;
        if (context.Options.Find(StepCommand.Commit) is not { } asked) return head;
        if (head.StartsWith(asked, StringComparison.OrdinalIgnoreCase) && asked.Length >= 7) return head;
        throw new UsageException(
            $"commit \"{asked}\" is to be built, but {ShortId.Of(head)} is checked out in \"{repository.Folder}\": " +
            "check it out first, or leave --commit away");
    }

    public static RunIdentity Of(
        StepContext context, WorkRepository repository, string commit, string target, PipelineDefinition? change)
    {
        var branch = Branch(context, repository, target);
        var uncommitted = Uncommitted(context, repository, change);
        return new RunIdentity(repository.OriginUrl ?? repository.Folder, branch, branch == target, commit,
            BuildNumber(context, repository, commit, branch, uncommitted), uncommitted.Count > 0);
    }

    /// <summary>
    /// Files that differ from the commit. On a build server new files are what earlier steps made, and no change of the source;
    /// on a laptop they may be source, unless they are test reports.
    /// </summary>
    public static IReadOnlyList<string> Uncommitted(StepContext context, WorkRepository repository, PipelineDefinition? change)
    {
        var paths = repository.UncommittedPaths(untrackedToo: !context.IsOnServer);
        if (change is null || paths.Count == 0) return paths;
        var reports = change.Components.SelectMany(component => component.UnitTests).Select(run => run.Reports)
            .Concat(change.Suites.Select(suite => suite.Tests.Reports))
                .Where(globs => globs.Count > 0)
                .Select(PathGlobs.Parse)
                .ToList();
        return [.. paths.Where(path => !reports.Exists(globs => globs.Matches(path)))];
    }

    private static string Branch(StepContext context, WorkRepository repository, string target)
    {
        var properties = context.Options.Properties;
        if (context.Options.Find(StepCommand.Branch) is { } given)
        {
            var isServers = given == properties.Find("teamcity.build.branch");
            if (given == TeamCityDefault || isServers && properties.Find("teamcity.build.branch.is_default") == "true")
                return target;
            return given.StartsWith(Reference, StringComparison.Ordinal) ? given[Reference.Length..] : given;
        }
        if (repository.HeadBranch is { } branch) return branch;
        // A build configuration without a branch specification has no branch parameter: it builds the default branch.
        return context.IsOnServer ? target
            : throw new UsageException(
                $"no branch is checked out in \"{repository.Folder}\" (detached head): check one out, or give --branch");
    }

    private static string BuildNumber(
        StepContext context, WorkRepository repository, string commit, string branch, IReadOnlyList<string> uncommitted)
    {
        if (context.Options.Find(StepCommand.BuildNumber) is { } given)
        {
            return given.Length <= 100
                && given.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-')
                && char.IsAsciiLetterOrDigit(given[0])
                ? given
                : throw new UsageException(
                    $"build number \"{given}\" cannot be part of an image tag: letters, digits and . _ - only, at most 100");
        }
        // Changed files give the number an ending of their own: what was built from other content is not this run's.
        var ending = uncommitted.Count == 0 ? "" : "." + Fingerprint(repository, uncommitted);
        return LaptopNumber(context, commit, branch, ending)
            ?? $"0-dev.{context.Time.GetUtcNow().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}{ending}";
    }

    // Steps run one after the other on a laptop are one chain: the newest number that was used for this very state of the sources
    // goes on.
    private static string? LaptopNumber(StepContext context, string commit, string branch, string ending)
    {
        return context.Evidence.Steps
            .Select(step => context.Evidence.TryReadAny(step, out var evidence, out _) ? evidence : null)
            .OfType<StepEvidence>()
            .Where(evidence => evidence.Run.Commit == commit && evidence.Run.Branch == branch)
            .Where(
                evidence => ending.Length > 0
                    ? evidence.Run.BuildNumber.EndsWith(ending, StringComparison.Ordinal)
                    : !evidence.Run.Dirty)
            .MaxBy(evidence => evidence.FinishedOn)?.Run.BuildNumber;
    }

    private static string Fingerprint(WorkRepository repository, IReadOnlyList<string> paths)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var path in paths)
        {
            var file = new FileInfo(Path.Combine(repository.Folder, path));
            hash.AppendData(Encoding.UTF8.GetBytes($"{path}\0{(file.Exists ? "file" : "gone")}\0"));
            if (!file.Exists) continue;
            using var stream = file.OpenRead();
            hash.AppendData(SHA256.HashData(stream));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..8];
    }
}
