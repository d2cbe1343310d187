using System.Globalization;
using CiSteps.Hosting;

namespace CiSteps.TestReports;

/// <summary>
/// The report files of a run: found by globs, removed before it starts, refused when they are older than its start.
/// </summary>
/// <param name="root">Absolute path of the repository's root.</param>
/// <param name="globs">Globs relative to it, as <see cref="PathGlobs"/> reads them.</param>
public sealed class ReportFiles(string root, IReadOnlyList<string> globs)
{
    // What keeps whole seconds only (FAT, archives, copies out of containers) has cut off up to two.
    private static readonly TimeSpan CutOff = TimeSpan.FromSeconds(2);

    private readonly PathGlobs matcher = PathGlobs.Parse(globs);

    /// <summary>Paths relative to the root, with slashes, sorted.</summary>
    public IReadOnlyList<string> Find() => matcher.FilesUnder(root);

    /// <summary>Whether a path relative to the root is one that the globs name.</summary>
    public bool Matches(string path) => matcher.Matches(path);

    /// <summary>
    /// Deletes what an earlier run left. Only files that look like reports, and none that the caller wants kept (files under
    /// version control).
    /// </summary>
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

    /// <summary>The moment before a run, by the clock that its reports get their times from: the file system's own.</summary>
    /// <exception cref="UsageException">The work tree takes no files.</exception>
    public ReportStart Begin()
    {
        var folder = Path.Combine(root, ".ci-steps");
        try
        {
            Directory.CreateDirectory(folder);
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                Options = FileOptions.DeleteOnClose
            };
            using var probe = new FileStream(Path.Combine(folder, ".began-" + Path.GetRandomFileName()), options);
            return new(new(File.GetLastWriteTimeUtc(probe.SafeFileHandle), TimeSpan.Zero),
                Find().ToDictionary(file => file, file => StateOf(Path.Combine(root, file))));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException(
                $"the work tree \"{root}\" takes no files ({error.Message}), so nobody could tell a report of " +
                    "this run from an older one; make it writable", error)
            { Fault = Fault.Environment };
        }
    }

    /// <summary>Reads all reports of a run.</summary>
    /// <param name="format">What they should be.</param>
    /// <param name="start">What <see cref="Begin"/> gave before it; null: they are of any time.</param>
    public IReadOnlyList<TestReport> Read(ReportFormat format, ReportStart? start)
    {
        var reports = new List<TestReport>();
        foreach (var file in Find())
        {
            var path = Path.Combine(root, file);
            reports.Add(start is not null && IsOlder(file, path, start)
                ? TestReport.Broken(
                    file,
                    format,
                    ReportFaultKind.Stale,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"\"{file}\" was written at {StateOf(path).Written:yyyy-MM-dd HH:mm:ss.fff}Z, " +
                        $"before this run began at {start.Time.UtcDateTime:HH:mm:ss.fff}Z; it tells of an earlier run, " +
                        $"or the report globs match a file that is not a report of this run"))
                : ReportReader.ReadFile(path, format, file, root));
        }
        return reports;
    }

    private static bool IsOlder(string file, string path, ReportStart start)
    {
        var state = StateOf(path);
        // A link to nothing: reading it says so.
        if (state.Length < 0) return false;
        // It could not be removed, or had to stay, and nobody wrote it since.
        if (start.There.TryGetValue(file, out var before) && before == state) return true;
        var isWhole = state.Written.Ticks % TimeSpan.TicksPerSecond == 0 && Target(path) == path;
        return state.Written < start.Time - (isWhole ? CutOff : TimeSpan.Zero);
    }

    private static (DateTimeOffset Written, long Length) StateOf(string path)
    {
        var file = new FileInfo(Target(path));
        return (new(file.LastWriteTimeUtc, TimeSpan.Zero), file.Exists ? file.Length : -1);
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

/// <summary>How things stood before a run.</summary>
/// <param name="Time">When it began, as the file system has it.</param>
/// <param name="There">Files that the report globs named already, with when they were written and how long they are.</param>
public sealed record ReportStart(DateTimeOffset Time, IReadOnlyDictionary<string, (DateTimeOffset Written, long Length)> There);
