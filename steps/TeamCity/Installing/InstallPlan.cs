using CiSteps.Hosting;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Installing;

/// <summary>What the settings say about their own installation.</summary>
/// <param name="Project">The one project that the others stand in; it carries the versioned settings.</param>
/// <param name="Parent">Where it is made: its parent's id, <c>_Root</c> when it names none.</param>
/// <param name="Root">The VCS root of the settings.</param>
/// <param name="Wanted">How the settings follow the repository.</param>
/// <param name="Below">Ids of the projects that the import brings.</param>
internal sealed record InstallTarget(
    Project Project,
    string Parent,
    VcsRoot Root,
    VersionedSettings Wanted,
    IReadOnlyList<string> Below)
{
    /// <summary>Finds it.</summary>
    /// <exception cref="UsageException">The settings are not of one project with versioned settings from a repository of the
    /// team's own.</exception>
    public static InstallTarget Of(SettingsTree tree)
    {
        var tops = tree.Projects.Values
            .Where(project => project.ParentId is null || !tree.Projects.ContainsKey(project.ParentId))
            .ToList();
        if (tops.Count != 1)
            throw new UsageException(
                $"{tree.Folder} holds {tops.Count} projects that stand in no other " +
                $"({string.Join(", ", tops.Select(top => top.Id))}); an installation needs one");
        var top = tops[0];
        var versioned = top.Extensions.FirstOrDefault(extension => extension.Type == "versionedSettings")
            ?? throw new UsageException(
                $"{top.At}: the project \"{top.Id}\" has no versionedSettings extension; " +
                "without it the server would forget where its settings come from");
        var rootId = versioned.Parameters["rootId"] ?? "";
        if (!tree.VcsRoots.TryGetValue(rootId, out var root))
            throw new UsageException($"{versioned.At}: the VCS root \"{rootId}\" of the settings is not in the tree");
        var url = root.Parameters["url"] ?? "";
        if (url.Length == 0 || url.Contains("//git.example.com/", StringComparison.Ordinal))
            throw new UsageException(
                $"{root.At}: the VCS root \"{root.Id}\" has " +
                $"{(url.Length == 0 ? "no address" : $"the example's address {url}")}; write your settings repository's there, " +
                "commit and push it");
        var format = versioned.Parameters["format"] ?? "xml";
        if (format != "xml") throw new UsageException($"{versioned.At}: the settings' format is \"{format}\"; these are XML");
        var mode = versioned.Parameters["buildSettings"] switch
        {
            "PREFER_VCS" => "useFromVCS",
            "PREFER_CURRENT" => "useCurrentByDefault",
            _ => "alwaysUseCurrent",
        };
        return new InstallTarget(
            top,
            top.ParentId ?? "_Root",
            root,
            new VersionedSettings(true, rootId, "xml", mode, versioned.Parameters["twoWaySynchronization"] == "true"),
            [.. tree.Projects.Keys.Where(id => id != top.Id).Order(StringComparer.Ordinal)]);
    }
}

/// <summary>What the server was found to have.</summary>
/// <param name="Config">The project's versioned settings; null when there is no such project.</param>
/// <param name="Status">The last word on loading; null when nothing was ever loaded.</param>
/// <param name="Tokens">Names of the secrets that it holds.</param>
/// <param name="Missing">Projects below it that are not there.</param>
internal sealed record ServerState(
    VersionedSettings? Config, ImportStatus? Status, IReadOnlySet<string> Tokens, IReadOnlyList<string> Missing);

/// <summary>One thing to do.</summary>
internal enum InstallAction
{
    /// <summary>An empty project.</summary>
    CreateProject,

    /// <summary>The root of the settings, in it.</summary>
    CreateRoot,

    /// <summary>Versioned settings, imported from the root.</summary>
    EnableSettings,

    /// <summary>Secrets by the names that the settings refer to.</summary>
    PostSecrets,

    /// <summary>Loading from the repository, and waiting for its end.</summary>
    Load,
}

/// <summary>What an installation does, decided from what the settings want and the server has.</summary>
/// <param name="Actions">In this order; empty when nothing has to be done.</param>
/// <param name="Secrets">Places whose secrets are given to the server.</param>
/// <param name="Notes">What a person should know before it is done.</param>
internal sealed record InstallPlan(
    IReadOnlyList<InstallAction> Actions, IReadOnlyList<SecretPlace> Secrets, IReadOnlyList<string> Notes)
{
    /// <summary>Compares what is wanted with what the server has; decides what has to be done there.</summary>
    /// <param name="target">What is wanted.</param>
    /// <param name="state">What there is.</param>
    /// <param name="places">All places with secrets.</param>
    /// <param name="given">Names of the places for which a value is given.</param>
    /// <param name="rotate">Give the server every secret again.</param>
    /// <param name="rootExists">The VCS root is there already and may be used.</param>
    /// <exception cref="UsageException">The server's project belongs to something else.</exception>
    public static InstallPlan For(
        InstallTarget target,
        ServerState state,
        IReadOnlyList<SecretPlace> places,
        IReadOnlySet<string> given,
        bool rotate,
        bool rootExists)
    {
        var (id, config) = (target.Project.Id, state.Config);
        if (config is { IsEnabled: true } && config.RootId != target.Wanted.RootId)
            throw new UsageException(
                $"the project \"{id}\" takes its settings from the VCS root \"{config.RootId}\", " +
                $"not from \"{target.Wanted.RootId}\"; it belongs to another installation. " +
                    "Switch its versioned settings off on its page, or give these settings a project id of their own");
        var unprepared = places.Where(place => place.Token is null && given.Contains(place.Name)).ToList();
        if (unprepared.Count > 0)
            throw new UsageException(
                $"the settings do not refer to the secret of {string.Join(", ", unprepared.Select(place => place.Name))} yet; " +
                "run with --prepare, commit and push the changed files, then install");
        var isOn = config is { IsEnabled: true };
        var actions = new List<InstallAction>();
        if (config is null) actions.Add(InstallAction.CreateProject);
        if (!isOn && !rootExists)
        {
            actions.Add(InstallAction.CreateRoot);
            if (places.FirstOrDefault(place => place.Owner == target.Root.Id && !given.Contains(place.Name)) is { } locked)
                throw new UsageException(
                    $"the server reads the settings with the secret {locked.Name}; give its value in the file of --secrets");
        }
        if (config != target.Wanted) actions.Add(InstallAction.EnableSettings);
        var secrets = places
            .Where(place => place.Token is { } token && given.Contains(place.Name) && (rotate || !state.Tokens.Contains(token)))
            .ToList();
        if (secrets.Count > 0) actions.Add(InstallAction.PostSecrets);
        if (config != target.Wanted
            || state.Missing.Count > 0
            || state.Status is null or { IsWarning: true } or { Errors.Count: > 0 })
            actions.Add(InstallAction.Load);
        var notes = new List<string>();
        if (config is { IsEnabled: false })
            notes.Add(
                $"the project \"{id}\" is there without versioned settings of its own: the import replaces whatever it holds");
        foreach (var place in places.Where(
            place => place.Token is { } token && !given.Contains(place.Name) && !state.Tokens.Contains(token)))
            notes.Add($"the server has no value for the secret {place.Name}; give it in the file of --secrets");
        return new InstallPlan(actions, secrets, notes);
    }
}
