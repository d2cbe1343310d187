using System.IO.Enumeration;
using System.IO.Pipelines;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// The files that an image is built from, as docker's client sends them: content, permissions, capabilities, times in
/// whole seconds, hard and symbolic links, and no owner. What it would leave out with no more than a line in its log, or
/// send half, is refused here: an image that lacks a file, or holds half of one, looks like any other.
/// </summary>
public sealed class BuildContext
{
    // Evidence and leases of the chain itself are never part of an image.
    private const string OwnFolder = ".ci-steps";

    private const string IgnoreName = ".dockerignore";
    private const int PieceBytes = 1 << 17;
    private const int LeastRead = 1 << 12;
    private const int MostNamed = 3;

    private readonly string folder;
    private readonly IgnoreFile ignore;
    private readonly string file;
    private readonly byte[]? outsideDockerfile;
    private readonly byte[]? ignoreSent;
    private readonly byte[] ignoreRead;
    private List<ContextEntry>? looked;

    private BuildContext(
        string folder,
        string file,
        string dockerfile,
        byte[]? outsideDockerfile,
        IgnoreFile ignore,
        byte[] ignoreRead,
        byte[]? ignoreSent)
    {
        (this.folder, this.file, Dockerfile, this.outsideDockerfile) = (folder, file, dockerfile, outsideDockerfile);
        (this.ignore, this.ignoreRead, this.ignoreSent) = (ignore, ignoreRead, ignoreSent);
    }

    /// <summary>The Dockerfile's path within the context.</summary>
    public string Dockerfile { get; }

    /// <summary>
    /// Reads a context's ignore file: <c>&lt;Dockerfile&gt;.dockerignore</c> beside the Dockerfile, else <c>.dockerignore</c> at
    /// the context's top.
    /// </summary>
    /// <param name="folder">The context's folder; it may be a symbolic link to it.</param>
    /// <param name="dockerfile">The Dockerfile's absolute path; it may lie outside, or be a symbolic link.</param>
    /// <exception cref="UsageException">One of them is missing, or the ignore file is wrong.</exception>
    public static BuildContext Open(string folder, string dockerfile)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(dockerfile);
        folder = Path.GetFullPath(folder);
        dockerfile = Path.GetFullPath(dockerfile);
        if (!Directory.Exists(folder))
            throw new UsageException($"the build context \"{folder}\" is not a folder; give image.context in ci-steps.yaml");
        if (!File.Exists(dockerfile))
            throw new UsageException($"there is no Dockerfile \"{dockerfile}\"; give image.dockerfile in ci-steps.yaml");
        var (ignore, text, isSpecific) = ReadIgnore(folder, dockerfile);
        var content = ReadPlainFile(dockerfile);
        // The engine looks for the Dockerfile where its links lead, among what it is sent.
        var file = FileState.RealPath(dockerfile);
        folder = FileState.RealPath(folder);
        var relative = Path.GetRelativePath(folder, file);
        if (OperatingSystem.IsWindows()) relative = relative.Replace('\\', '/');
        var isOutside = relative.StartsWith("../", StringComparison.Ordinal) || Path.IsPathRooted(relative);
        var name = isOutside ? ".dockerfile." + Convert.ToHexStringLower(SHA256.HashData(content))[..12] : relative;
        // The engine needs Dockerfile and ignore file even where they are ignored; it takes them out again by the ignore file
        // that it is sent.
        var hidesIgnore = ignore.Ignores(IgnoreName);
        var hidesDockerfile = isOutside || ignore.Ignores(name);
        byte[]? sent = null;
        if ((isSpecific || isOutside) && (hidesIgnore || hidesDockerfile))
        {
            var lines = ignore.Lines.ToList();
            if (isOutside) lines.Add(name);
            if (hidesIgnore || !File.Exists(Path.Combine(folder, IgnoreName))) lines.Add(IgnoreName);
            sent = Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")));
        }
        var further = new List<string>();
        if (hidesIgnore) further.Add("!" + IgnoreName);
        if (hidesDockerfile && !isOutside) further.Add("!" + name);
        further.Add(OwnFolder);
        var all = ignore.With("the build context", further);
        return new BuildContext(folder, dockerfile, name, isOutside ? content : null, all, text, sent);
    }

    /// <summary>
    /// Whether a path leads to a file with an end: reading a named pipe waits for ever, and so may a device.
    /// </summary>
    /// <exception cref="IOException">The system does not say.</exception>
    public static bool IsPlainFile(string path) => FileState.OfTarget(path)?.Kind == FileKind.Regular;

    /// <summary>Paths in the context, folders with a slash at their end, in the order of the stream.</summary>
    /// <exception cref="UsageException">A folder cannot be read, or holds what no image can.</exception>
    public IReadOnlyList<string> List() =>
        [.. Look().Select(entry => entry.Path + (entry.State.Kind == FileKind.Folder ? "/" : ""))];

    /// <summary>
    /// Looks through the context ahead of <see cref="StreamAsync"/> or <see cref="OpenFolder"/>, which take what was found here
    /// and refuse what has become of it since.
    /// </summary>
    /// <exception cref="UsageException">A folder cannot be read, or holds what no image can.</exception>
    public void LookAhead() => looked = Look();

    /// <summary>The context for a builder that reads the folder itself.</summary>
    /// <exception cref="UsageException">A folder cannot be read, or holds what no image can.</exception>
    public ContextFolder OpenFolder()
    {
        var before = looked ?? Look();
        // The raw text, for a line that is cleaned twice may mean something else; a last line without an end gets one.
        byte[] lines = [.. ignoreRead, .. Encoding.UTF8.GetBytes($"\n{OwnFolder}\n")];
        return new ContextFolder(folder, file, lines, () => RequireUnchanged(before));
    }

    /// <summary>
    /// Writes the context as tar into a stream that is read at the same time; of the files, nothing is kept in memory but
    /// what is on its way.
    /// </summary>
    /// <param name="read">
    /// Reads the stream to its end. Where the context cannot be sent whole, the stream ends with that failure, never as if
    /// it were whole.
    /// </param>
    /// <param name="cancel">Stops both sides.</param>
    /// <exception cref="UsageException">A file cannot be read, has changed meanwhile, or is what no image can hold.</exception>
    public async Task StreamAsync(Func<Stream, Task> read, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(read);
        // What can be refused is refused before anything is sent.
        var entries = looked ?? Look();
        const int pauseAt = 4 << 20, resumeAt = 1 << 20;
        var pipe = new Pipe(new PipeOptions(
            minimumSegmentSize: PieceBytes, pauseWriterThreshold: pauseAt, resumeWriterThreshold: resumeAt));
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var writing = Task.Run(() => FillAsync(pipe.Writer, entries, stopping.Token), CancellationToken.None);
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
        // A file that cannot be sent is the cause, whatever the reader made of the broken stream.
        if (await writing.ConfigureAwait(false) is { } writeFailure) throw writeFailure;
        if (readFailure is not null) ExceptionDispatchInfo.Throw(readFailure);
    }

    private async Task<Exception?> FillAsync(PipeWriter writer, IReadOnlyList<ContextEntry> entries, CancellationToken cancel)
    {
        try
        {
            await WriteAsync(writer, entries, cancel).ConfigureAwait(false);
            await writer.CompleteAsync().ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException stopped) when (cancel.IsCancellationRequested)
        {
            await writer.CompleteAsync(stopped).ConfigureAwait(false);
            return null;
        }
        catch (Exception failure)
        {
            // Whatever it is, the reader must not wait for more, nor take what it has for all.
            await writer.CompleteAsync(failure).ConfigureAwait(false);
            return failure;
        }
    }

    private async Task WriteAsync(PipeWriter output, IReadOnlyList<ContextEntry> entries, CancellationToken cancel)
    {
        if (ignoreSent is not null) WriteText(output, IgnoreName, ignoreSent);
        if (outsideDockerfile is not null) WriteText(output, Dockerfile, outsideDockerfile);
        var first = new Dictionary<(ulong Volume, ulong Number), string>();
        foreach (var entry in entries)
        {
            cancel.ThrowIfCancellationRequested();
            if (ignoreSent is not null && entry.Path == IgnoreName) continue;
            await WriteAsync(output, entry, first, cancel).ConfigureAwait(false);
            // Many small files go in one piece.
            if (output.UnflushedBytes >= PieceBytes) await output.FlushAsync(cancel).ConfigureAwait(false);
        }
        // Before the end, so that a context that was not a single state of the folder is not an archive either.
        RequireUnchanged(entries);
        TarHeader.End(output);
        await output.FlushAsync(cancel).ConfigureAwait(false);
    }

    private async Task WriteAsync(
        PipeWriter output, ContextEntry entry, Dictionary<(ulong, ulong), string> first, CancellationToken cancel)
    {
        var (path, state, modified) = (entry.Path, entry.State, entry.State.Modified.Seconds);
        if (state.Kind == FileKind.Folder)
        {
            TarHeader.Write(output, TarHeader.Folder, path + "/", state.Mode, 0, modified);
            return;
        }
        // Of the names of one file, the first that is sent has the content, and the others are links to it, as with the client.
        if (state.Links > 1 && !first.TryAdd((state.Volume, state.Number), path))
        {
            TarHeader.Write(output, TarHeader.HardLink, path, state.Mode, 0, modified, first[(state.Volume, state.Number)]);
            return;
        }
        if (state.Kind == FileKind.SymbolicLink)
        {
            TarHeader.Write(output, TarHeader.SymbolicLink, path, state.Mode, 0, modified, entry.Target);
            return;
        }
        var capabilities = Reading(path, FileState.Capabilities);
        TarHeader.Write(output, TarHeader.Regular, path, state.Mode, state.Size, modified, capabilities: capabilities);
        if (state.Size == 0) return;
        await WriteContentAsync(output, entry, cancel).ConfigureAwait(false);
        TarHeader.Pad(output, state.Size);
    }

    // The client's classic build reads on to the file's end and spoils the archive when that is not where the header has it;
    // BuildKit's takes whatever it reads. Either way an image with half a file can come of it. Here the header's length is
    // what is read, and of nothing but the file that was listed.
    private async Task WriteContentAsync(PipeWriter output, ContextEntry entry, CancellationToken cancel)
    {
        var (handle, opened) = Reading(entry.Path, FileState.Open);
        using var closing = handle;
        if (entry.ChangeTo(entry with { State = opened }) is { } change) throw Changed(entry.Path, change);
        for (long at = 0; at < entry.State.Size;)
        {
            // What is left of the piece that the header stands in is used up first.
            var free = output.GetMemory((int)Math.Min(LeastRead, entry.State.Size - at));
            if (free.Length > entry.State.Size - at) free = free[..(int)(entry.State.Size - at)];
            var from = at;
            var count = Reading(entry.Path, _ => RandomAccess.Read(handle, free.Span, from));
            if (count == 0) throw Changed(entry.Path, "shrank");
            output.Advance(count);
            at += count;
            if (output.UnflushedBytes >= PieceBytes) await output.FlushAsync(cancel).ConfigureAwait(false);
        }
    }

    private static void WriteText(PipeWriter output, string path, byte[] text)
    {
        TarHeader.Write(output, TarHeader.Regular, path, 0b110_100_100, text.Length, 0);
        text.CopyTo(output.GetSpan(text.Length));
        output.Advance(text.Length);
        TarHeader.Pad(output, text.Length);
    }

    private T Reading<T>(string path, Func<string, T> read)
    {
        try
        {
            return read(Path.Combine(folder, path));
        }
        catch (FileNotFoundException)
        {
            throw Changed(path, "vanished");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Unreadable($"\"{path}\"", failure);
        }
    }

    private void RequireUnchanged(IReadOnlyList<ContextEntry> before)
    {
        var now = Walk();
        var known = now.ToDictionary(entry => entry.Path, StringComparer.Ordinal);
        foreach (var entry in before)
            if (entry.ChangeTo(known.GetValueOrDefault(entry.Path)) is { } change) throw Changed(entry.Path, change);
        if (now.Count == before.Count) return;
        var old = before.Select(entry => entry.Path).ToHashSet(StringComparer.Ordinal);
        throw Changed(now.First(entry => !old.Contains(entry.Path)).Path, "was added");
    }

    // All that goes along, folder by folder in the order of names, as the client walks; nothing in it that an image cannot hold.
    private List<ContextEntry> Look()
    {
        var entries = Walk();
        var foreign = entries.Where(entry => entry.Foreign is not null).ToList();
        if (foreign.Count == 0) return entries;
        var named = string.Join(", ", foreign.Take(MostNamed).Select(entry => $"\"{entry.Path}\" is {entry.Foreign}"));
        var further = foreign.Count > MostNamed ? $" (and {foreign.Count - MostNamed} more)" : "";
        throw new UsageException(
            $"the build context holds what an image cannot: {named}{further}; remove it, or name it in .dockerignore");
    }

    private List<ContextEntry> Walk()
    {
        var entries = new List<ContextEntry>();
        Walk("", null, entries);
        return entries;
    }

    private void Walk(string at, bool[]? matched, List<ContextEntry> entries)
    {
        var names = Names(at);
        for (var index = 0; index < names.Count; index++)
        {
            var path = at.Length == 0 ? names[index] : at + "/" + names[index];
            var (ignored, own) = ignore.Judge(path, matched);
            if (ignored && !ignore.MayTakeBackIn(path)) continue;
            var state = Reading(path, FileState.Of);
            // Bytes that are not UTF-8 come as this character: then there is nothing of that name, or several have become one.
            var isUnclear = path.Contains('\uFFFD', StringComparison.Ordinal);
            if (isUnclear && (state is null || names.Count(name => name == names[index]) > 1))
            {
                throw new UsageException($"the name \"{path}\" in the build context is not UTF-8; rename it, or name it in "
                    + ".dockerignore (a \"?\" stands for what cannot be shown)");
            }
            if (state is not { } found) throw Changed(path, "vanished");
            if (!ignored) entries.Add(new ContextEntry(path, found, found.Kind == FileKind.SymbolicLink ? Target(path) : ""));
            if (found.Kind == FileKind.Folder) Walk(path, own, entries);
        }
    }

    private string Target(string path)
    {
        var target = Reading(path, whole => new FileInfo(whole).LinkTarget) ?? throw Changed(path, "was replaced");
        if (!target.Contains('\uFFFD', StringComparison.Ordinal)) return target;
        throw new UsageException($"the symbolic link \"{path}\" in the build context leads to \"{target}\", which is not UTF-8; "
            + "make it anew, or name it in .dockerignore");
    }

    private List<string> Names(string at)
    {
        try
        {
            var options = new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false };
            var all = new FileSystemEnumerable<string>(
                Path.Combine(folder, at), (ref FileSystemEntry entry) => entry.FileName.ToString(), options);
            var names = all.ToList();
            names.Sort(CompareBytes);
            return names;
        }
        catch (DirectoryNotFoundException) when (at.Length > 0)
        {
            throw Changed(at, "vanished");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(at.Length == 0 ? $"the folder \"{folder}\"" : $"the folder \"{at}\"", failure);
        }
    }

    // The order of the names' bytes, as the client has it: in it what takes two UTF-16 characters comes last.
    private static int CompareBytes(string one, string other)
    {
        var at = one.AsSpan().CommonPrefixLength(other);
        return at < one.Length && at < other.Length ? Rank(one[at]) - Rank(other[at]) : one.Length - other.Length;
    }

    private static int Rank(char character) => char.IsSurrogate(character) ? character + char.MaxValue : character;

    private static (IgnoreFile Ignore, byte[] Text, bool IsSpecific) ReadIgnore(string folder, string dockerfile)
    {
        var specific = dockerfile + IgnoreName;
        var general = Path.Combine(folder, IgnoreName);
        var isSpecific = File.Exists(specific);
        if (!isSpecific && !Path.Exists(general)) return (IgnoreFile.Empty, [], false);
        var bytes = ReadPlainFile(isSpecific ? specific : general);
        var source = isSpecific ? Path.GetFileName(specific) : IgnoreName;
        return (IgnoreFile.Parse(Encoding.UTF8.GetString(bytes), source), bytes, isSpecific);
    }

    private static byte[] ReadPlainFile(string path)
    {
        try
        {
            if (IsPlainFile(path)) return File.ReadAllBytes(path);
            throw new UsageException($"\"{path}\" is not a file that can be read; the build context needs one there, or none");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"\"{path}\" cannot be read: {failure.Message}; make it readable", failure);
        }
    }

    private static UsageException Unreadable(string what, Exception failure) =>
        new($"{what} of the build context cannot be read: {failure.Message}; make it readable, or name it in .dockerignore",
            failure);

    private static UsageException Changed(string path, string change) => new(
        $"\"{path}\" of the build context {change} while the image was built, so what the image would hold is not known: "
        + "let nothing write there during the build, or name it in .dockerignore");
}
