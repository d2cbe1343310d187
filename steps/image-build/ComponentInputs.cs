using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>
/// A fingerprint of all that an image is built from: the component's committed files, how it is built, and its base images by
/// digest.
/// </summary>
internal static class ComponentInputs
{
    /// <summary>
    /// The fingerprint; null when there is none that could be relied on (uncommitted changes, a base image without a digest).
    /// </summary>
    public static string? Of(ChainRun run, ComponentDefinition component, IReadOnlyList<BaseImage> bases)
    {
        if (run.Identity.Dirty
            || component.Image is not { } image
            || bases.Any(source => !source.Digest.StartsWith("sha256:", StringComparison.Ordinal)))
            return null;
        var text = new StringBuilder("1\n");
        void Say(string name, string? value) =>
            text.Append(name).Append('=').Append(value?.Length ?? -1).Append(':').Append(value).Append('\n');
        Say("dockerfile", image.Dockerfile);
        Say("context", image.Context);
        Say("target", image.Target);
        Say("platform", image.Platform);
        Say("builder", image.Builder);
        foreach (var secret in image.Secrets) Say("secret " + secret.Id, secret.Variable ?? secret.File);
        if (image.Ssh) Say("ssh", "default");
        foreach (var (name, value) in image.Arguments.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            Say("argument " + name, value);
        if (component.PreBuild is { } command)
        {
            foreach (var part in command.Run) Say("pre-build", part);
            Say("image", command.Image);
            Say("folder", command.Folder);
            foreach (var (name, value) in command.Environment.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                Say("variable " + name, value);
        }
        foreach (var source in bases.OrderBy(source => source.Reference, StringComparer.Ordinal))
            Say("base " + source.Reference, source.Digest);
        Files(run, component, image, Say);
        return "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    // Folders go by their tree ids, which know file modes as well; that takes in a neighbour too many rather than a file too few.
    private static void Files(ChainRun run, ComponentDefinition component, ImageDefinition image, Action<string, string?> say)
    {
        var (repository, commit) = (run.Repository, run.Identity.Commit);
        var globs = PathGlobs.Parse(component.Paths);
        var folders = new SortedSet<string>(StringComparer.Ordinal) { image.Context.Trim('/') };
        var files = new SortedSet<string>(StringComparer.Ordinal) { image.Dockerfile, image.Dockerfile + ".dockerignore" };
        foreach (var (path, _) in repository.Files(commit))
        {
            if (!globs.Matches(path)) continue;
            files.Add(path);
            folders.Add(path.LastIndexOf('/') is var slash and > 0 ? path[..slash] : ".");
        }
        foreach (var folder in folders)
            say("folder " + folder, folder is "." or "" ? repository.TreeId(commit) : repository.ObjectId(commit, folder));
        foreach (var file in files) say("file " + file, repository.ObjectId(commit, file));
    }
}
