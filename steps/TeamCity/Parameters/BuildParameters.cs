using CiSteps.Hosting;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Parameters;

/// <summary>
/// All parameters of one build, resolved on demand: predefined ones, those of the projects above, of templates, of the
/// configuration, and of finished dependencies.
/// </summary>
public sealed class BuildParameters
{
    private const string ToolPrefix = "teamcity.tool.";

    private readonly Dictionary<string, Parameter> raw = new(StringComparer.Ordinal);
    private readonly string toolsFolder;

    /// <summary>Parameters of a configuration.</summary>
    /// <param name="tree">Where its projects are.</param>
    /// <param name="build">The configuration, templates merged in.</param>
    /// <param name="toolsFolder">What every <c>teamcity.tool.*</c> stands for: the folder with the executables.</param>
    public BuildParameters(SettingsTree tree, BuildConfiguration build, string toolsFolder)
    {
        this.toolsFolder = toolsFolder;
        foreach (var project in tree.Ancestry(build.ProjectId).Reverse())
            foreach (var parameter in project.Parameters.All) raw[parameter.Name] = parameter;
        foreach (var parameter in build.Parameters.All) raw[parameter.Name] = parameter;
    }

    private BuildParameters(BuildParameters other, IEnumerable<Parameter> overlay)
    {
        toolsFolder = other.toolsFolder;
        raw = new(other.raw, StringComparer.Ordinal);
        foreach (var parameter in overlay) raw[parameter.Name] = parameter;
    }

    /// <summary>Names that are set.</summary>
    public IReadOnlyCollection<string> Names => raw.Keys;

    /// <summary>Sets a value as it is: percent signs in it are text.</summary>
    public void Set(string name, string value) =>
        raw[name] = new(name, References.Escape(value), raw.GetValueOrDefault(name)?.Spec, Nowhere);

    /// <summary>Whether the server would hide the parameter's value.</summary>
    public bool IsPassword(string name) => raw.GetValueOrDefault(name)?.IsPassword ?? false;

    /// <summary>These, with a recipe's parameters on top.</summary>
    public BuildParameters With(IEnumerable<Parameter> overlay) => new(this, overlay);

    /// <summary>The value with all references replaced; null when there is no such parameter.</summary>
    /// <exception cref="UsageException">Its value refers to something unknown, or to itself.</exception>
    public string? Find(string name) => Find(name, []);

    /// <summary>The text with all references replaced.</summary>
    /// <exception cref="UsageException">A reference is unknown or circular; names the place.</exception>
    public string Resolve(string text, SourceLocation at) => References.Replace(text, name =>
        Find(name, [])
            ?? throw new UsageException(
                $"{at}: nothing defines the parameter \"{name}\"; on a server no agent would be compatible with this build"));

    /// <summary>
    /// All values by name, resolved; what cannot be resolved here is left out, as it is only an error where it is used.
    /// </summary>
    public IReadOnlyDictionary<string, string> ResolveAll()
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in raw.Keys)
            if (FindKnown(name) is { } value) all[name] = value;
        return all;
    }

    /// <summary>The text with those references replaced that something here defines; the others stay as they are.</summary>
    public string ResolveKnown(string text) => References.Replace(text, name => FindKnown(name) ?? $"%{name}%");

    private string? FindKnown(string name)
    {
        try
        {
            return Find(name, []);
        }
        catch (UsageException)
        {
            return null;
        }
    }

    private static SourceLocation Nowhere { get; } = new("ci-steps", 0);

    private string? Find(string name, List<string> within)
    {
        if (!raw.TryGetValue(name, out var parameter))
            return name.StartsWith(ToolPrefix, StringComparison.Ordinal) ? toolsFolder : null;
        if (within.Contains(name))
            throw new UsageException(
                $"{parameter.At}: the parameter \"{name}\" refers to itself: {string.Join(" -> ", [.. within, name])}");
        return References.Replace(parameter.Value, inner => Find(inner, [.. within, name])
            ?? throw new UsageException(
                $"{parameter.At}: the parameter \"{name}\" refers to \"{inner}\", which nothing defines"));
    }
}
