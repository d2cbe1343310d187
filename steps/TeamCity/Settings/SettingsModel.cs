namespace CiSteps.TeamCity.Settings;

/// <summary>Where something stands in the settings.</summary>
/// <param name="File">Path as the reader was given it, relative to the settings folder.</param>
/// <param name="Line">Line, from 1.</param>
public sealed record SourceLocation(string File, int Line)
{
    public override string ToString() => $"{File}:{Line}";
}

/// <summary>A parameter as written; its value may hold references.</summary>
public sealed record Parameter(string Name, string Value, string? Spec, SourceLocation At)
{
    /// <summary>Whether the server would hide it.</summary>
    public bool IsPassword => Spec is not null && Spec.StartsWith("password", StringComparison.Ordinal);
}

/// <summary>An option, as in <c>&lt;options&gt;</c>.</summary>
public sealed record Option(string Name, string Value, SourceLocation At);

/// <summary>A condition of a step or a requirement of a build: <c>equals</c>, <c>exists</c> and so on.</summary>
public sealed record Condition(string Kind, string Name, string? Value, SourceLocation At);

/// <summary>A step of a build.</summary>
/// <param name="Id">Unique in its build configuration; empty in old meta-runners.</param>
public sealed record Runner(
    string Id,
    string Name,
    string Type,
    IReadOnlyList<Condition> Conditions,
    ParameterSet Parameters,
    SourceLocation At);

/// <summary>A build feature, failure condition or project feature.</summary>
public sealed record Extension(string Id, string Type, ParameterSet Parameters, SourceLocation At);

/// <summary>A trigger.</summary>
public sealed record Trigger(string Id, string Type, ParameterSet Parameters, SourceLocation At);

/// <summary>A VCS root attached to a build configuration.</summary>
public sealed record VcsEntry(string RootId, IReadOnlyList<string> CheckoutRules, SourceLocation At);

/// <summary>Order of builds: this one after that one, on the same revisions.</summary>
public sealed record SnapshotDependency(string SourceId, IReadOnlyList<Option> Options, SourceLocation At)
{
    public string? this[string option] => Options.LastOrDefault(found => found.Name == option)?.Value;
}

/// <summary>Files of another build.</summary>
/// <param name="RevisionRule">Such as <c>sameChainOrLastFinished</c>.</param>
/// <param name="Paths">Source paths, one rule a line.</param>
public sealed record ArtifactDependency(
    string Id,
    string SourceId,
    string RevisionRule,
    string Revision,
    bool CleanDestination,
    string Paths,
    SourceLocation At);

/// <summary>Parameters by name; a later one of the same name wins.</summary>
public sealed class ParameterSet(IEnumerable<Parameter> all)
{
    private readonly Dictionary<string, Parameter> byName = Index(all);

    public static ParameterSet Empty { get; } = new([]);

    public IReadOnlyCollection<Parameter> All => byName.Values;

    public Parameter? Find(string name) => byName.GetValueOrDefault(name);

    public string? this[string name] => Find(name)?.Value;

    /// <summary>These, overridden by those.</summary>
    public ParameterSet With(ParameterSet stronger) => new(All.Concat(stronger.All));

    private static Dictionary<string, Parameter> Index(IEnumerable<Parameter> all)
    {
        var found = new Dictionary<string, Parameter>(StringComparer.Ordinal);
        foreach (var parameter in all) found[parameter.Name] = parameter;
        return found;
    }
}

/// <summary>A project.</summary>
public sealed record Project(
    string Id,
    string Name,
    string? ParentId,
    string? Uuid,
    bool IsArchived,
    string? DefaultTemplate,
    ParameterSet Parameters,
    IReadOnlyList<Extension> Extensions,
    IReadOnlyList<string> BuildsOrder,
    IReadOnlyList<string> SubprojectsOrder,
    SourceLocation At);

/// <summary>A build configuration or template, as written.</summary>
public sealed record BuildConfiguration(
    string Id,
    string ProjectId,
    string Name,
    bool IsTemplate,
    bool IsPaused,
    string? Uuid,
    IReadOnlyList<string> Templates,
    IReadOnlyList<Option> Options,
    IReadOnlyList<Option> Disabled,
    ParameterSet Parameters,
    IReadOnlyList<Runner> Runners,
    IReadOnlyList<string> RunnerOrder,
    IReadOnlyList<VcsEntry> VcsEntries,
    IReadOnlyList<Condition> Requirements,
    IReadOnlyList<Trigger> Triggers,
    IReadOnlyList<Extension> Extensions,
    IReadOnlyList<ArtifactDependency> ArtifactDependencies,
    IReadOnlyList<SnapshotDependency> SnapshotDependencies,
    SourceLocation At)
{
    /// <summary>A configuration of which nothing but its name is known.</summary>
    public static BuildConfiguration Named(string id, string name, SourceLocation at) =>
        new(id, "", name, false, false, null, [], [], [], ParameterSet.Empty, [], [], [], [], [], [], [], [], at);

    /// <summary>The option's value, or null when it is not written.</summary>
    public string? this[string option] => Options.LastOrDefault(found => found.Name == option)?.Value;

    /// <summary>Whether it takes no agent and runs nothing itself.</summary>
    public bool IsComposite => string.Equals(this["buildConfigurationType"], "COMPOSITE", StringComparison.OrdinalIgnoreCase);
}

/// <summary>A VCS root.</summary>
public sealed record VcsRoot(
    string Id,
    string ProjectId,
    string Name,
    string Type,
    string? Uuid,
    ParameterSet Parameters,
    SourceLocation At);

/// <summary>A recipe (meta-runner): steps under a runner type of its own.</summary>
public sealed record Recipe(
    string Id,
    string ProjectId,
    string Name,
    ParameterSet Parameters,
    IReadOnlyList<Runner> Runners,
    SourceLocation At);
