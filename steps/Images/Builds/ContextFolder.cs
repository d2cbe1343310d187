namespace CiSteps.Images;

/// <summary>
/// A build context for a builder that reads the folder itself (BuildKit): it asks for no more than a Dockerfile needs, and
/// leaves out a Dockerfile that is ignored, which it does not in a tar. Dispose removes what was written for it.
/// </summary>
public sealed class ContextFolder : IDisposable
{
    private readonly StepFolder own;
    private readonly Action requireUnchanged;

    internal ContextFolder(string folder, string dockerfile, byte[] ignore, Action requireUnchanged)
    {
        this.requireUnchanged = requireUnchanged;
        Folder = folder;
        own = StepFolder.Create();
        try
        {
            // A builder takes an ignore file of the Dockerfile's own name beside it before that of the context.
            Dockerfile = Path.Combine(own.Path, Path.GetFileName(dockerfile));
            File.Copy(dockerfile, Dockerfile);
            File.WriteAllBytes(Dockerfile + ".dockerignore", ignore);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The context's folder.</summary>
    public string Folder { get; }

    /// <summary>Path of a copy of the Dockerfile, in a folder of its own beside the ignore file that counts.</summary>
    public string Dockerfile { get; } = "";

    /// <summary>Path of a file in the same folder for the builder to write the image's id to.</summary>
    public string IdFile => Path.Combine(own.Path, ".image-id");

    /// <summary>To be asked when the build has ended: the builder does not notice a file that changes while it is read.</summary>
    /// <exception cref="Hosting.UsageException">Something in the context is no longer what it was.</exception>
    public void RequireUnchanged() => requireUnchanged();

    /// <inheritdoc />
    public void Dispose() => own.Dispose();
}
