using CiSteps.Hosting;

namespace CiSteps.TestReports;

/// <summary>The report files of a run: found by globs, removed before it starts, refused when they are older than its start.</summary>
/// <param name="root">Absolute path of the repository's root.</param>
/// <param name="globs">Globs relative to it, as <see cref="PathGlobs"/> reads them.</param>
public sealed class ReportFiles(string root, IReadOnlyList<string> globs)
{
    // File systems keep times in steps of up to two seconds.
    private static readonly TimeSpan Granularity = TimeSpan.FromSeconds(2);

    private readonly PathGlobs matcher = PathGlobs.Parse(globs);

    /// <summary>Paths relative to the root, with slashes, sorted.</summary>
    public IReadOnlyList<string> Find() => matcher.FilesUnder(root);

    /// <summary>Whether a path relative to the root is one that the globs name.</summary>
    public bool Matches(string path) => matcher.Matches(path);

    /// <summary>Deletes what an earlier run left. Only files that look like reports, and none that the caller wants kept (files under version control).</summary>
    /// <param name="keep">Whether a relative path must stay.</param>
    /// <returns>The deleted files.</returns>
    public IReadOnlyList<string> DeleteLeftovers(Func<string, bool> keep)
    {
        ArgumentNullException.ThrowIfNull(keep);
        var deleted = new List<string>();
        foreach (var file in Find())
        {
            var path = Path.Combine(root, file);
            if (keep(file) || !ReportReader.LooksLikeReport(path)) continue;
            try
            {
                File.Delete(path);
                deleted.Add(file);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It stays and, unless the run writes it anew, fails as older than the start.
            }
        }
        return deleted;
    }

    /// <summary>Reads all reports of a run that began at the given time.</summary>
    public IReadOnlyList<TestReport> Read(ReportFormat format, DateTimeOffset started)
    {
        var reports = new List<TestReport>();
        foreach (var file in Find())
        {
            var path = Path.Combine(root, file);
            var written = new DateTimeOffset(File.GetLastWriteTimeUtc(Target(path)), TimeSpan.Zero);
            reports.Add(written < started - Granularity
                ? TestReport.Broken(file, format, ReportFaultKind.Stale, FormattableString.Invariant($"\"{file}\" was written at {written:yyyy-MM-dd HH:mm:ss}Z, before this run began at {started.UtcDateTime:HH:mm:ss}Z; it tells of an earlier run, or the report globs match a file that is not a report of this run"))
                : ReportReader.ReadFile(path, format, file, root));
        }
        return reports;
    }

    // A new link to an old file tells of an earlier run, like the file.
    private static string Target(string path)
    {
        try
        {
            return File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // In a circle, or not for this user: reading it says so.
            return path;
        }
    }
}
