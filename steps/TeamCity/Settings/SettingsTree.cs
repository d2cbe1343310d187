using CiSteps.Hosting;

namespace CiSteps.TeamCity.Settings;

/// <summary>Something wrong in a settings tree.</summary>
/// <param name="Rule">Kebab-case name of the rule.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Message">What, which one in quotes, what to do.</param>
public sealed record Finding(SourceLocation At, string Rule, Severity Severity, string Message)
{
    public override string ToString() => $"{At}: {Rule}: {Message}";
}

/// <summary>How bad a finding is.</summary>
public enum Severity
{
    /// <summary>The server takes it; a person should look.</summary>
    Warning,

    /// <summary>The server rejects it, or the chain does not do what it says.</summary>
    Error,
}

/// <summary>
/// A settings tree as a server writes it: projects, templates, build configurations, VCS roots and recipes by id. Reading never
/// stops at the first fault.
/// </summary>
public sealed class SettingsTree
{
    private readonly Dictionary<string, Project> projects = new(StringComparer.Ordinal);
    private readonly Dictionary<string, BuildConfiguration> builds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, VcsRoot> roots = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Recipe> recipes = new(StringComparer.Ordinal);
    private readonly List<Recipe> copies = [];
    private readonly List<Finding> findings = [];

    internal SettingsTree(string folder) => Folder = folder;

    /// <summary>The <c>.teamcity</c> folder.</summary>
    public string Folder { get; }

    public IReadOnlyDictionary<string, Project> Projects => projects;

    /// <summary>Build configurations and templates.</summary>
    public IReadOnlyDictionary<string, BuildConfiguration> Builds => builds;

    public IReadOnlyDictionary<string, VcsRoot> VcsRoots => roots;

    public IReadOnlyDictionary<string, Recipe> Recipes => recipes;

    /// <summary>What was wrong with the files themselves.</summary>
    public IReadOnlyList<Finding> Findings => findings;

    /// <summary>Reads the tree for running it: any structural error is a refusal with its file and line.</summary>
    /// <exception cref="UsageException">No settings there, or broken ones.</exception>
    public static SettingsTree Load(string folder)
    {
        var tree = SettingsReader.Read(folder);
        if (tree.Findings.Where(finding => finding.Severity == Severity.Error).ToList() is { Count: > 0 } errors)
            throw new UsageException($"the settings in {tree.Folder} are broken: {string.Join("; ", errors.Take(5))}" +
                (errors.Count > 5 ? $"; and {errors.Count - 5} more, see ci-steps check" : ""));
        return tree;
    }

    /// <summary>The project and those above it, nearest first; stops at what is not in the tree, or at a circle.</summary>
    public IEnumerable<Project> Ancestry(string projectId)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var id = projectId; id is not null
            && seen.Add(id)
            && projects.TryGetValue(id, out var project); id = project.ParentId ?? RootAbove(project))
            yield return project;
    }

    /// <summary>The recipe that a runner type names, if it is visible in that project.</summary>
    public Recipe? FindRecipe(string type, string projectId)
    {
        if (!recipes.TryGetValue(type, out var recipe)) return null;
        var visible = Ancestry(projectId).Select(project => project.Id).ToHashSet(StringComparer.Ordinal);
        return visible.Contains(recipe.ProjectId)
            ? recipe
            : copies.Find(copy => copy.Id == type && visible.Contains(copy.ProjectId));
    }

    internal void Add(Project project) => projects[project.Id] = project;

    internal void Add(BuildConfiguration build) => builds[build.Id] = build;

    internal void Add(VcsRoot root) => roots[root.Id] = root;

    internal void Add(Recipe recipe)
    {
        if (!recipes.TryAdd(recipe.Id, recipe)) copies.Add(recipe);
    }

    internal void Report(SourceLocation at, string rule, Severity severity, string message) =>
        findings.Add(new(at, rule, severity, message));

    private string? RootAbove(Project project) => project.Id != "_Root" && projects.ContainsKey("_Root") ? "_Root" : null;
}
