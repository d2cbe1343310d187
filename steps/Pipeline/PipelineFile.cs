using CiSteps.Hosting;
using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline;

/// <summary>Registry hosts that stand above the file's: for a laptop, a demo, a mirror.</summary>
/// <param name="Push"><c>host[:port][/prefix]</c>; null leaves the file's.</param>
/// <param name="Pull">The same for cluster nodes; null leaves the file's, or the push host when that was given here.</param>
public sealed record RegistryOverride(string? Push, string? Pull);

/// <summary>Reads ci-steps.yaml: strictly, and with all that is wrong in one message.</summary>
public static class PipelineFile
{
    /// <summary>Reads text.</summary>
    /// <param name="text">The YAML text.</param>
    /// <param name="sourceName">Name for messages, such as <c>ci-steps.yaml</c>.</param>
    /// <param name="registry">Hosts that stand above the file's.</param>
    /// <exception cref="UsageException">The file is wrong; one line per problem, as <c>name:line:column: what</c>.</exception>
    public static PipelineDefinition Parse(string text, string sourceName, RegistryOverride? registry = null)
    {
        var problems = new Problems(sourceName);
        var root = YamlReading.Read(text, problems);
        var definition = root is null
            ? null
            : Reading.PipelineReading.Read(root, sourceName, registry ?? new RegistryOverride(null, null), problems);
        problems.ThrowIfAny();
        return definition ?? throw new UsageException($"{sourceName} cannot be read");
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">Absolute path of the file.</param>
    /// <param name="sourceName">Name for messages; the path's last part unless given.</param>
    /// <param name="registry">Hosts that stand above the file's.</param>
    /// <exception cref="UsageException">There is no such file, or it is wrong.</exception>
    public static PipelineDefinition Read(string path, string? sourceName = null, RegistryOverride? registry = null)
    {
        try
        {
            return Parse(File.ReadAllText(path), sourceName ?? Path.GetFileName(path), registry);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UsageException(
                $"there is no pipeline file \"{path}\": write one (see README, \"ci-steps.yaml\"), " +
                "or say with --config where it is",
                error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"the pipeline file \"{path}\" cannot be read: {error.Message}", error);
        }
    }
}
