using System.CommandLine;
using System.Diagnostics.CodeAnalysis;

namespace CiSteps.Hosting.Options;

/// <summary>The options of one invocation, each with the place that it came from.</summary>
public sealed class OptionValues
{
    private readonly ParseResult parsed;
    private readonly IReadOnlyDictionary<string, Option<string?>> options;
    private readonly IReadOnlyDictionary<string, string> environment;
    private readonly BuildServerProperties properties;

    internal OptionValues(ParseResult parsed, IReadOnlyDictionary<string, Option<string?>> options,
        IReadOnlyDictionary<string, string> environment, BuildServerProperties properties) =>
        (this.parsed, this.options, this.environment, this.properties) = (parsed, options, environment, properties);

    /// <summary>The environment that the step was started with.</summary>
    public IReadOnlyDictionary<string, string> Environment => environment;

    /// <summary>The build server's properties; empty on a laptop.</summary>
    public BuildServerProperties Properties => properties;

    /// <summary>What an option came to, by command line, environment, server, file or default.</summary>
    /// <exception cref="UsageException">Given nowhere, or not readable.</exception>
    public T Get<T>(StepOption<T> setting) => TryGet(setting, out var value)
        ? value
        : throw new UsageException($"\"{setting.Name}\" is not set: give --{setting.Name} or {setting.Variable}" +
            (setting.Properties.Count == 0 ? "" : $", or on a build server the parameter {setting.Properties[0]}") +
                $" ({setting.Description})")
        { Fault = Fault.Environment };

    /// <summary>The value, if it is given anywhere.</summary>
    /// <exception cref="UsageException">Given but not readable.</exception>
    public bool TryGet<T>(StepOption<T> setting, [MaybeNullWhen(false)] out T value)
    {
        value = default;
        if (Find(setting) is not { } found) return false;
        try
        {
            value = setting.Read(found.Text);
            return true;
        }
        catch (FormatException error)
        {
            throw new UsageException(
                $"\"{found.Text}\" is not right for {found.Source}: {error.Message}", error)
            { Fault = Fault.Environment };
        }
    }

    /// <summary>The value, or null.</summary>
    public string? Find(StepOption<string> setting) => TryGet(setting, out var value) ? value : null;

    internal (string Text, string Source)? Find(StepOption setting)
    {
        if (options.TryGetValue(setting.Name, out var option) && parsed.GetResult(option) is { Implicit: false })
            return (parsed.GetValue(option) ?? "true", $"option --{setting.Name}");
        if (environment.TryGetValue(setting.Variable, out var fromEnvironment) && fromEnvironment.Length > 0)
            return (fromEnvironment, $"environment {setting.Variable}");
        foreach (var name in setting.Properties)
            if (properties.Find(name) is { Length: > 0 } fromServer)
                return (fromServer, $"build parameter {name}");
        return setting.Fallback is null ? null : (setting.Fallback, "default");
    }
}

/// <summary>What TeamCity tells a build process in files: system properties in the first, all parameters in the second.</summary>
public sealed class BuildServerProperties
{
    private readonly IReadOnlyDictionary<string, string> system;
    private readonly IReadOnlyDictionary<string, string> all;

    private BuildServerProperties(IReadOnlyDictionary<string, string> system, IReadOnlyDictionary<string, string> all) =>
        (this.system, this.all) = (system, all);

    /// <summary>No build server.</summary>
    public static BuildServerProperties None { get; } = new(new Dictionary<string, string>(), new Dictionary<string, string>());

    /// <summary>Reads both files when the environment names them.</summary>
    /// <exception cref="UsageException">A named file cannot be read.</exception>
    public static BuildServerProperties Read(IReadOnlyDictionary<string, string> environment)
    {
        if (!environment.TryGetValue("TEAMCITY_BUILD_PROPERTIES_FILE", out var path) || path.Length == 0) return None;
        var system = JavaProperties.ReadFile(path);
        return system.TryGetValue("teamcity.configuration.properties.file", out var second) && second.Length > 0
            ? new(system, JavaProperties.ReadFile(second)) : new(system, new Dictionary<string, string>());
    }

    /// <summary>
    /// A parameter by its full name, such as <c>teamcity.build.branch</c> or <c>build.number</c>; null when there is none.
    /// </summary>
    public string? Find(string name) =>
        all.TryGetValue(name, out var value) || system.TryGetValue(name, out value) ? value : null;
}
