namespace CiSteps.Images;

/// <summary>One thing in a build context, as it was when the context was looked at.</summary>
/// <param name="Path">With slashes, relative to the context.</param>
/// <param name="State">What the file system says of it.</param>
/// <param name="Target">What a symbolic link leads to; else empty.</param>
internal sealed record ContextEntry(string Path, FileState State, string Target)
{
    // In a layer such a name says that the file without it was deleted, or all that was in its folder.
    private const string Deletion = ".wh.";

    /// <summary>What an image would not hold as it is; null for what it can.</summary>
    public string? Foreign => State.Kind switch
    {
        _ when Path.AsSpan(Path.LastIndexOf('/') + 1).StartsWith(Deletion, StringComparison.Ordinal) =>
            $"a name by which layers say that a file was deleted (\"{Deletion}\")",
        FileKind.NamedPipe => "a named pipe",
        FileKind.Socket => "a socket",
        FileKind.CharacterDevice => "a character device",
        FileKind.BlockDevice => "a block device",
        _ => null,
    };

    /// <summary>What became of the entry between two looks; null when it is the same.</summary>
    /// <param name="now">The entry of that path now; null when there is none.</param>
    public string? ChangeTo(ContextEntry? now)
    {
        if (now is null) return "vanished";
        var (before, after) = (State, now.State);
        // Whatever is ignored may come and go in a folder; that changes its times, and nothing that is sent.
        if (before.Kind == FileKind.Folder && after.Kind == FileKind.Folder)
            return before.Mode == after.Mode ? null : "was given other permissions";
        if (before == after && Target == now.Target) return null;
        if (before.Kind != after.Kind || before.Number != after.Number || before.Volume != after.Volume) return "was replaced";
        return after.Size > before.Size ? "grew" : after.Size < before.Size ? "shrank" : "was written to";
    }
}
