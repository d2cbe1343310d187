using System.Formats.Tar;
using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>The files that an image is built from, as a tar stream: sorted, with one fixed time and no owner, so that the same files give the same bytes.</summary>
public sealed class BuildContext
{
    // Evidence and leases of the chain itself are never part of an image.
    private const string OwnFolder = ".ci-steps";

    private const int LongestPlainName = 100;

    // Zip tools know nothing before 1980.
    private static readonly DateTimeOffset FixedTime = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly string folder;
    private readonly IgnoreFile ignore;
    private readonly string? outsideDockerfile;
    private readonly string? ignoreText;

    private BuildContext(string folder, IgnoreFile ignore, string dockerfile, string? outsideDockerfile, string? ignoreText) =>
        (this.folder, this.ignore, Dockerfile, this.outsideDockerfile, this.ignoreText) = (folder, ignore, dockerfile, outsideDockerfile, ignoreText);

    /// <summary>The Dockerfile's path within the context.</summary>
    public string Dockerfile { get; }

    /// <summary>Reads a context's ignore file: <c>&lt;Dockerfile&gt;.dockerignore</c> beside the Dockerfile, else <c>.dockerignore</c> at the context's top.</summary>
    /// <param name="folder">The context's folder.</param>
    /// <param name="dockerfile">The Dockerfile's absolute path; it may lie outside.</param>
    /// <exception cref="UsageException">One of them is missing, or the ignore file is wrong.</exception>
    public static BuildContext Open(string folder, string dockerfile)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(dockerfile);
        folder = Path.GetFullPath(folder);
        dockerfile = Path.GetFullPath(dockerfile);
        if (!Directory.Exists(folder)) throw new UsageException($"the build context \"{folder}\" is no folder; give image.context in ci-steps.yaml");
        if (!File.Exists(dockerfile)) throw new UsageException($"there is no Dockerfile \"{dockerfile}\"; give image.dockerfile in ci-steps.yaml");
        var (ignore, isSpecific) = ReadIgnore(folder, dockerfile);
        var relative = Path.GetRelativePath(folder, dockerfile).Replace('\\', '/');
        var isOutside = relative.StartsWith("../", StringComparison.Ordinal) || Path.IsPathRooted(relative);
        var name = isOutside ? ".dockerfile." + Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(dockerfile)))[..12] : relative;
        // The engine needs Dockerfile and ignore file even where they are ignored; it takes them out again by the ignore file that it is sent.
        var hidesIgnore = ignore.Ignores(".dockerignore");
        var hidesDockerfile = isOutside || ignore.Ignores(name);
        string? sent = null;
        if ((isSpecific || isOutside) && (hidesIgnore || hidesDockerfile))
            sent = string.Concat(ignore.Lines.Append(isOutside ? name : null).Append(hidesIgnore || !File.Exists(Path.Combine(folder, ".dockerignore")) ? ".dockerignore" : null)
                .OfType<string>().Select(line => line + "\n"));
        var further = new List<string>();
        if (hidesIgnore) further.Add("!.dockerignore");
        if (hidesDockerfile && !isOutside) further.Add("!" + name);
        further.Add(OwnFolder);
        return new BuildContext(folder, ignore.With("the build context", further), name, isOutside ? dockerfile : null, sent);
    }

    /// <summary>Paths in the context, folders with a slash at their end, in the order of the stream.</summary>
    /// <exception cref="UsageException">A folder cannot be read.</exception>
    public IReadOnlyList<string> List() => [.. Walk("", null).Select(entry => entry.Path + (entry.Kind == TarEntryType.Directory ? "/" : ""))];

    /// <summary>Writes the context into a stream that is read at the same time; nothing is kept in memory but what is on its way.</summary>
    /// <param name="read">Reads the stream to its end.</param>
    /// <param name="cancel">Stops both sides.</param>
    /// <exception cref="UsageException">A file cannot be read.</exception>
    public async Task StreamAsync(Func<Stream, Task> read, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(read);
        var pipe = new Pipe(new PipeOptions(minimumSegmentSize: 1 << 16, pauseWriterThreshold: 4 << 20, resumeWriterThreshold: 1 << 20));
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var writing = Task.Run(() => FillAsync(pipe.Writer, stopping.Token), CancellationToken.None);
        Exception? readFailure = null;
        try
        {
            await using var stream = pipe.Reader.AsStream();
            await read(stream).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            readFailure = failure;
        }
        await stopping.CancelAsync().ConfigureAwait(false);
        // A file that cannot be read is the cause, whatever the reader made of the broken stream.
        if (await writing.ConfigureAwait(false) is { } writeFailure) throw writeFailure;
        if (readFailure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(readFailure);
    }

    /// <summary>Writes the context as tar.</summary>
    /// <exception cref="UsageException">A file cannot be read.</exception>
    public async Task WriteAsync(Stream output, CancellationToken cancel = default)
    {
        await using var tar = new TarWriter(output, TarEntryFormat.Pax, leaveOpen: true);
        if (ignoreText is not null) await WriteTextAsync(tar, ".dockerignore", ignoreText, cancel).ConfigureAwait(false);
        if (outsideDockerfile is not null) await WriteTextAsync(tar, Dockerfile, await File.ReadAllTextAsync(outsideDockerfile, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        foreach (var (path, kind) in Walk("", null))
        {
            cancel.ThrowIfCancellationRequested();
            if (ignoreText is not null && path == ".dockerignore") continue;
            await WriteAsync(tar, path, kind, cancel).ConfigureAwait(false);
        }
    }

    private async Task<Exception?> FillAsync(PipeWriter writer, CancellationToken cancel)
    {
        try
        {
            await using (var stream = writer.AsStream(leaveOpen: true)) await WriteAsync(stream, cancel).ConfigureAwait(false);
            await writer.CompleteAsync().ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await writer.CompleteAsync().ConfigureAwait(false);
            return null;
        }
        catch (Exception failure) when (failure is UsageException or IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            var said = failure as UsageException ?? new UsageException($"cannot read the build context \"{folder}\": {failure.Message}", failure);
            await writer.CompleteAsync(said).ConfigureAwait(false);
            // The reader has gone first: then its failure is the one that counts.
            return cancel.IsCancellationRequested ? null : said;
        }
    }

    private async Task WriteAsync(TarWriter tar, string path, TarEntryType kind, CancellationToken cancel)
    {
        var whole = Path.Combine(folder, path);
        try
        {
            var entry = Entry(kind, kind == TarEntryType.Directory ? path + "/" : path, kind == TarEntryType.SymbolicLink ? new FileInfo(whole).LinkTarget ?? "" : "");
            if (kind == TarEntryType.SymbolicLink)
            {
                entry.Mode = (UnixFileMode)0b111_111_111;
                await tar.WriteEntryAsync(entry, cancel).ConfigureAwait(false);
                return;
            }
            // Windows knows no executable bit: there everything is executable, as the engine's client has it.
            entry.Mode = OperatingSystem.IsWindows() ? (UnixFileMode)0b111_101_101 : File.GetUnixFileMode(whole);
            if (kind == TarEntryType.Directory)
            {
                await tar.WriteEntryAsync(entry, cancel).ConfigureAwait(false);
                return;
            }
            // Opening a named pipe would block for ever; like a socket it has no length, and stands in the image as an empty file.
            if (new FileInfo(whole).Length == 0)
            {
                await tar.WriteEntryAsync(entry, cancel).ConfigureAwait(false);
                return;
            }
            await using var content = new FileStream(whole, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 16, FileOptions.SequentialScan);
            entry.DataStream = content;
            await tar.WriteEntryAsync(entry, cancel).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UsageException($"\"{path}\" of the build context cannot be read: {failure.Message}; make it readable, or name it in .dockerignore", failure);
        }
    }

    private static async Task WriteTextAsync(TarWriter tar, string path, string text, CancellationToken cancel)
    {
        var entry = Entry(TarEntryType.RegularFile, path);
        entry.Mode = (UnixFileMode)0b110_100_100;
        entry.DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        await tar.WriteEntryAsync(entry, cancel).ConfigureAwait(false);
    }

    // The plain old form where it can say it: it is shorter, and clients recognise a tar on their standard input by its first header only.
    private static TarEntry Entry(TarEntryType kind, string name, string link = "")
    {
        var isPlain = Encoding.UTF8.GetByteCount(name) is var length && length == name.Length && length < LongestPlainName && link.Length < LongestPlainName && System.Text.Ascii.IsValid(link);
        TarEntry entry = isPlain ? new UstarTarEntry(kind, name) : new PaxTarEntry(kind, name, [new("mtime", "315532800"), new("atime", "315532800"), new("ctime", "315532800")]);
        entry.ModificationTime = FixedTime;
        if (kind == TarEntryType.SymbolicLink) entry.LinkName = link;
        return entry;
    }

    // Folder by folder in the order of names, as the client walks.
    private IEnumerable<(string Path, TarEntryType Kind)> Walk(string at, bool[]? matched)
    {
        foreach (var (name, kind) in Children(at))
        {
            var path = at.Length == 0 ? name : at + "/" + name;
            var (ignored, own) = ignore.Judge(path, matched);
            if (!ignored) yield return (path, kind);
            if (kind != TarEntryType.Directory || (ignored && !ignore.MayTakeBackIn(path))) continue;
            foreach (var inner in Walk(path, own)) yield return inner;
        }
    }

    private List<(string Name, TarEntryType Kind)> Children(string at)
    {
        var found = new List<(string Name, TarEntryType Kind)>();
        try
        {
            foreach (var entry in new DirectoryInfo(Path.Combine(folder, at)).EnumerateFileSystemInfos())
            {
                if (entry.LinkTarget is not null) found.Add((entry.Name, TarEntryType.SymbolicLink));
                else if (entry is DirectoryInfo) found.Add((entry.Name, TarEntryType.Directory));
                else found.Add((entry.Name, TarEntryType.RegularFile));
            }
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or DirectoryNotFoundException)
        {
            throw new UsageException($"the folder \"{at}\" of the build context cannot be read: {failure.Message}; make it readable, or name it in .dockerignore", failure);
        }
        found.Sort((one, other) => string.CompareOrdinal(one.Name, other.Name));
        return found;
    }

    private static (IgnoreFile Ignore, bool IsSpecific) ReadIgnore(string folder, string dockerfile)
    {
        var specific = dockerfile + ".dockerignore";
        if (File.Exists(specific)) return (IgnoreFile.Parse(File.ReadAllText(specific), Path.GetFileName(specific)), true);
        var general = Path.Combine(folder, ".dockerignore");
        return (File.Exists(general) ? IgnoreFile.Parse(File.ReadAllText(general), ".dockerignore") : IgnoreFile.Empty, false);
    }
}
