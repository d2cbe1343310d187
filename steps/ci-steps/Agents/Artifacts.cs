using System.IO.Compression;
using CiSteps.Hosting;

namespace CiSteps.Cli.Agents;

/// <summary>
/// Artifact rules and artifact dependencies: copying files out of a checkout into a build's artifacts, and from there into the
/// next checkout.
/// </summary>
internal static class Artifacts
{
    private static readonly string[] ArchiveEndings = [".zip", ".7z", ".jar", ".tar.gz", ".tgz", ".tar"];

    /// <summary>Publishes what the rules name. A rule that matches nothing is not a failure, as on a server.</summary>
    /// <param name="rules">Lines <c>path =&gt; target</c>; <c>-:</c> in front excludes.</param>
    /// <param name="checkout">What the paths are relative to.</param>
    /// <param name="artifacts">The build's artifact folder.</param>
    /// <param name="warn">Told of a rule that matches nothing.</param>
    /// <returns>Number of files.</returns>
    /// <exception cref="UsageException">A rule asks for an archive other than .zip, or leaves the artifact folder.</exception>
    public static int Publish(string rules, string checkout, string artifacts, Action<string> warn)
    {
        var count = 0;
        var lines = Lines(rules).ToList();
        var excluded = lines.Where(line => line.Kind == '-').Select(line => new AntPattern(line.Source)).ToList();
        foreach (var (_, source, target) in lines.Where(line => line.Kind != '-'))
        {
            // A rule may name an absolute path; within the checkout it is the relative one, elsewhere its own folder is what it
            // is relative to.
            var (root, path) = Located(source, checkout);
            var copied = Into(
                artifacts,
                target,
                folder => Copy(
                    AsFolderPattern(path, root), root, folder, file => excluded.Any(pattern => pattern.Matches(file))));
            if (copied == 0) warn($"no files for the artifact rule \"{source}\"");
            count += copied;
        }
        return count;
    }

    /// <summary>Fetches a dependency's files.</summary>
    /// <param name="paths">Lines <c>[+:|-:|?:]source[=&gt;target]</c>.</param>
    /// <param name="artifacts">The other build's artifact folder.</param>
    /// <param name="checkout">Where they go.</param>
    /// <param name="clean">Empty each target folder first.</param>
    /// <param name="from">The other build's name, for messages.</param>
    /// <returns>Number of files.</returns>
    /// <exception cref="UsageException">A line that is not optional matches nothing.</exception>
    public static int Fetch(string paths, string artifacts, string checkout, bool clean, string from)
    {
        var lines = Lines(paths).ToList();
        if (clean)
        {
            foreach (var target in lines.Where(line => line.Kind != '-' && line.Target.Length > 0)
                .Select(line => Within(checkout, line.Target))
                .Distinct())
                if (Directory.Exists(target)) Directory.Delete(target, recursive: true);
        }
        var excluded = lines.Where(line => line.Kind == '-').Select(line => new AntPattern(line.Source)).ToList();
        var count = 0;
        foreach (var (kind, source, target) in lines.Where(line => line.Kind != '-'))
        {
            if (source.Contains('!', StringComparison.Ordinal))
                throw new UsageException(
                    $"the artifact path \"{source}\" of {from} reaches into an archive; ci-steps does not unpack archives");
            var copied = Copy(
                new AntPattern(source),
                artifacts,
                Within(checkout, target),
                path => excluded.Any(pattern => pattern.Matches(path)));
            if (copied == 0 && kind != '?') throw new UsageException($"{from} published nothing that matches \"{source}\"");
            count += copied;
        }
        return count;
    }

    private static IEnumerable<(char Kind, string Source, string Target)> Lines(string text)
    {
        foreach (var raw in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (raw.StartsWith('#')) continue;
            var kind = raw.Length > 1 && raw[1] == ':' && raw[0] is '+' or '-' or '?' ? raw[0] : '+';
            var line = raw.Length > 1 && raw[1] == ':' && raw[0] is '+' or '-' or '?' ? raw[2..] : raw;
            var arrow = line.IndexOf("=>", StringComparison.Ordinal);
            yield return arrow < 0 ? (kind, line.Trim(), "") : (kind, line[..arrow].Trim(), line[(arrow + 2)..].Trim().Trim('/'));
        }
    }

    private static (string Root, string Path) Located(string source, string checkout)
    {
        if (!Path.IsPathRooted(source)) return (checkout, source);
        var relative = Path.GetRelativePath(checkout, source).Replace('\\', '/');
        return relative.StartsWith("..", StringComparison.Ordinal)
            ? (Path.GetDirectoryName(source) ?? checkout, Path.GetFileName(source))
            : (checkout, relative);
    }

    // A folder without wildcards means what is in it.
    private static AntPattern AsFolderPattern(string source, string checkout) =>
        Directory.Exists(Path.Combine(checkout, source)) ? new(source.TrimEnd('/') + "/**") : new(source);

    // A target that ends like an archive is one, with the files in it.
    private static int Into(string artifacts, string target, Func<string, int> copy)
    {
        if (!ArchiveEndings.Any(ending => target.EndsWith(ending, StringComparison.OrdinalIgnoreCase)))
            return copy(Within(artifacts, target));
        if (!target.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
            throw new UsageException(
                $"the artifact rule's target \"{target}\" is an archive that ci-steps does not write; it writes .zip");
        var archive = Within(artifacts, target);
        var staging = Directory.CreateTempSubdirectory("ci-steps-zip-").FullName;
        try
        {
            var copied = copy(staging);
            if (copied == 0) return 0;
            Directory.CreateDirectory(Path.GetDirectoryName(archive)!);
            File.Delete(archive);
            ZipFile.CreateFromDirectory(staging, archive);
            return copied;
        }
        finally
        {
            Directory.Delete(staging, recursive: true);
        }
    }

    private static string Within(string folder, string target)
    {
        var path = Path.GetFullPath(Path.Combine(folder, target));
        return path == folder || path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal) ? path
            : throw new UsageException($"the artifact target \"{target}\" leads out of {folder}");
    }

    private static int Copy(AntPattern pattern, string from, string to, Func<string, bool> excluded)
    {
        var root = Path.Combine(from, pattern.Root);
        if (!Directory.Exists(root)) return 0;
        var count = 0;
        foreach (var file in Directory.EnumerateFiles(
            root, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = true }))
        {
            var path = Path.GetRelativePath(from, file).Replace('\\', '/');
            if (!pattern.Matches(path) || excluded(path)) continue;
            var kept = Path.Combine(to, Path.GetRelativePath(root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
            File.Copy(file, kept, overwrite: true);
            count++;
        }
        return count;
    }
}
