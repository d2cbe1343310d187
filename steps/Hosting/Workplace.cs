namespace CiSteps.Hosting;

/// <summary>
/// What a step needs of the machine before it runs commands: a work tree and a temporary folder that take files.
/// </summary>
public static class Workplace
{
    /// <summary>Tries both with a file of a byte, which is gone again afterwards.</summary>
    /// <exception cref="UsageException">One of them is missing or takes no files.</exception>
    public static void Require(StepContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        Try(context.Evidence.FolderOf(context.Step), make: true,
            why => $"the work tree \"{context.WorkTree}\" takes no files ({why}); check it out where this user may write, or " +
                "mount it writable");
        var temporary = context.Options.Environment.GetValueOrDefault("TMPDIR") is { Length: > 0 } named ? named
            : Path.GetTempPath();
        Try(temporary, make: false,
            why => $"the temporary folder \"{temporary}\" takes no files ({why}); set TMPDIR to a folder that is there and " +
                "that this user may write to");
    }

    /// <summary>Finds out whether the folder that this process was started in is there; each relative path needs it.</summary>
    /// <exception cref="UsageException">It is gone, or this user may not see it.</exception>
    internal static void RequireWorkingDirectory()
    {
        try
        {
            _ = Directory.GetCurrentDirectory();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException("the working directory does not exist any more, or this user may not see it; change to a " +
                "folder that is there, and start again", error)
            { Fault = Fault.Environment };
        }
    }

    /// <summary>
    /// Whether a failure is this machine's refusal to let files be written: a read-only or full disk, missing rights, no
    /// temporary folder. It is not a fault of the program.
    /// </summary>
    internal static bool Refuses(Exception failure) => failure is UnauthorizedAccessException
        || failure is DirectoryNotFoundException && failure.Message.Contains(Path.GetTempPath(), StringComparison.Ordinal)
        // EROFS, ENOSPC, EDQUOT.
        || failure is IOException { HResult: 30 or 28 or 122 } && !OperatingSystem.IsWindows();

    /// <summary>The sentence for it.</summary>
    internal static string Refusal(Exception failure) =>
        $"a file cannot be written here: {failure.Message}; see that the work tree, the home folder and the temporary folder " +
            "(TMPDIR) are there, take files of this user and have space";

    private static void Try(string folder, bool make, Func<string, string> text)
    {
        try
        {
            if (make) Directory.CreateDirectory(folder);
            var path = Path.Combine(folder, ".cisteps-" + Path.GetRandomFileName());
            using var stream = new FileStream(path,
                new FileStreamOptions
                {
                    Mode = FileMode.CreateNew,
                    Access = FileAccess.Write,
                    Options = FileOptions.DeleteOnClose
                });
            stream.WriteByte(0);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException(text(error.Message), error) { Fault = Fault.Environment };
        }
    }
}
