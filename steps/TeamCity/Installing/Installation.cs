using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Installing;

/// <summary>What an administrator asked of an installation.</summary>
/// <param name="Server">Address of the TeamCity server.</param>
/// <param name="Token">Access token; masked in what is said.</param>
/// <param name="Apply">Do it; else the plan is printed and nothing is changed.</param>
/// <param name="Rotate">Give the server every secret again, also those that it has.</param>
/// <param name="ExistingRoot">The VCS root of the settings is on the server already.</param>
/// <param name="LoadLimit">How long the server may take to load the settings.</param>
public sealed record InstallRequest(Uri Server, string Token, bool Apply, bool Rotate, bool ExistingRoot, TimeSpan LoadLimit);

/// <summary>
/// Looks at the server, decides, and does it where told. Each action may be repeated: a run that was cut off is finished by the
/// next.
/// </summary>
public sealed class Installation
{
    /// <summary>The environment variable that holds the access token.</summary>
    public const string TokenVariable = "CISTEPS_TEAMCITY_TOKEN";

    private const string Tool = "teamcity.tool.";

    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    private readonly ProgramContext context;
    private readonly InstallRequest request;
    private readonly SettingsTree tree;
    private readonly InstallTarget target;
    private readonly TeamCityServer server;
    private readonly IReadOnlyList<SecretPlace> places;
    private readonly IReadOnlyDictionary<string, string> secrets;

    private Installation(ProgramContext context, InstallRequest request, SettingsTree tree, TeamCityServer server,
        IReadOnlyList<SecretPlace> places, IReadOnlyDictionary<string, string> secrets)
    {
        (this.context, this.request, this.tree, this.server) = (context, request, tree, server);
        (this.places, this.secrets) = (places, secrets);
        target = InstallTarget.Of(tree);
    }

    private string Id => target.Project.Id;

    /// <summary>Installs, or prints what it would do.</summary>
    /// <param name="context">Where it is said.</param>
    /// <param name="request">What was asked for.</param>
    /// <param name="tree">All projects, configurations, templates and recipes, as they were read.</param>
    /// <param name="places">All places in them that hold a secret.</param>
    /// <param name="secrets">The given secrets, by the place's name.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>The exit code: done, or refused when the server does not take the settings.</returns>
    /// <exception cref="UsageException">The settings have no project to install, or the server refuses a call.</exception>
    /// <exception cref="UnavailableException">The server does not answer, or does not load the settings in time.</exception>
    public static async Task<int> RunAsync(ProgramContext context, InstallRequest request, SettingsTree tree,
        IReadOnlyList<SecretPlace> places, IReadOnlyDictionary<string, string> secrets, CancellationToken cancel)
    {
        using var server = new TeamCityServer(request.Server, request.Token, context.Log, context.Time);
        return await new Installation(context, request, tree, server, places, secrets).RunAsync(cancel).ConfigureAwait(false);
    }

    private async Task<int> RunAsync(CancellationToken cancel)
    {
        var state = await GatherAsync(cancel).ConfigureAwait(false);
        var plan = InstallPlan.For(
            target, state, places, secrets.Keys.ToHashSet(StringComparer.Ordinal), request.Rotate, request.ExistingRoot);
        await SayAsync(
            $"{server.Address}: project \"{Id}\" in \"{target.Parent}\", settings from {target.Root.Parameters["url"]} " +
            $"({target.Root.Parameters["branch"]})").ConfigureAwait(false);
        foreach (var note in plan.Notes) await SayAsync($"note     {note}").ConfigureAwait(false);
        var isReal = request.Apply;
        foreach (var action in plan.Actions)
        {
            await SayAsync(
                $"{(isReal ? "now" : "would")}{(isReal ? "      " : "    ")}{Words(action, plan)}").ConfigureAwait(false);
            if (isReal && !await ActAsync(action, plan, cancel).ConfigureAwait(false)) return ExitCode.Refused;
        }
        await ManualAsync().ConfigureAwait(false);
        await SayAsync(plan.Actions.Count == 0 ? "the server is as the settings want it; nothing was changed"
            : isReal
                ? "done; run again to see that nothing is left"
                : "nothing was changed; give --apply to do it").ConfigureAwait(false);
        return ExitCode.Done;
    }

    private async Task<ServerState> GatherAsync(CancellationToken cancel)
    {
        // The parent is there before anything of ours is: without an answer for it, nothing else would work either.
        if (await server.FindConfigAsync(target.Parent, cancel).ConfigureAwait(false) is null)
            throw new UsageException(
                $"{server.Address} knows no versioned settings of a project \"{target.Parent}\" (404): the project is missing, " +
                "the address is not TeamCity's, or the server is older than 2023.05, where these calls are documented first");
        if (await server.FindConfigAsync(Id, cancel).ConfigureAwait(false) is not { } config)
            return new ServerState(null, null, new HashSet<string>(), target.Below);
        var missing = new List<string>();
        foreach (var project in target.Below)
            if (await server.FindConfigAsync(project, cancel).ConfigureAwait(false) is null) missing.Add(project);
        var status = config.IsEnabled ? await server.FindStatusAsync(Id, cancel).ConfigureAwait(false) : null;
        return new ServerState(config, status, await server.TokensAsync(Id, cancel).ConfigureAwait(false), missing);
    }

    private string Words(InstallAction action, InstallPlan plan) => action switch
    {
        InstallAction.CreateProject => $"make the project \"{Id}\"",
        InstallAction.CreateRoot => $"make the VCS root \"{target.Root.Id}\"",
        InstallAction.EnableSettings =>
            $"switch versioned settings on: XML, {target.Wanted.BuildSettings}, imported from \"{target.Root.Id}\"",
        InstallAction.PostSecrets =>
            $"give the server {Count.Of(plan.Secrets.Count, "secret")}: " +
            $"{string.Join(", ", plan.Secrets.Select(place => place.Name))}",
        _ => "load the settings from the repository and wait for it",
    };

    private async Task<bool> ActAsync(InstallAction action, InstallPlan plan, CancellationToken cancel)
    {
        switch (action)
        {
            case InstallAction.CreateProject:
                await server.CreateProjectAsync(target.Parent, Id, target.Project.Name, cancel).ConfigureAwait(false);
                return true;
            case InstallAction.CreateRoot:
                await CreateRootAsync(cancel).ConfigureAwait(false);
                return true;
            case InstallAction.EnableSettings:
                await server.EnableAsync(Id, target.Wanted, cancel).ConfigureAwait(false);
                return true;
            case InstallAction.PostSecrets:
                await server.PostTokensAsync(
                    Id,
                    plan.Secrets.ToDictionary(place => place.Token!, place => secrets[place.Name], StringComparer.Ordinal),
                    cancel).ConfigureAwait(false);
                return true;
            default:
                var status = await LoadAsync(cancel).ConfigureAwait(false);
                await SayAsync($"         the server says: {status.Message}").ConfigureAwait(false);
                if (status is { IsWarning: false, Errors.Count: 0 }) return true;
                foreach (var error in status.Errors) await SayAsync($"error    {error}").ConfigureAwait(false);
                await context.Error.WriteLineAsync(context.Log.Mask.Apply(
                    $"ci-steps: the server did not take the settings ({Count.Of(status.Errors.Count, "error")}): " +
                    "mend and push them, then run again; what is done stays done")).ConfigureAwait(false);
                return false;
        }
    }

    private async Task CreateRootAsync(CancellationToken cancel)
    {
        var root = target.Root;
        // A root that signs in has its secret at once: the server reads the settings before it knows their references.
        var properties = root.Parameters.All.ToDictionary(
            parameter => parameter.Name,
            parameter => secrets.GetValueOrDefault($"{root.Id}:{parameter.Name}") ?? parameter.Value,
            StringComparer.Ordinal);
        try
        {
            await server.CreateRootAsync(Id, root.Id, root.Name, root.Type, properties, cancel).ConfigureAwait(false);
        }
        catch (UsageException refusal)
            when (refusal.Message.Contains("exist", StringComparison.OrdinalIgnoreCase)
                || refusal.Message.Contains("already", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException(
                $"{refusal.Message}; when it is the settings' root, with the same address, run again with --existing-root, " +
                "else give this one another id",
                refusal);
        }
    }

    private async Task<ImportStatus> LoadAsync(CancellationToken cancel)
    {
        var limit = request.LoadLimit;
        using var deadline = new CancellationTokenSource(limit, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        ImportStatus? last = null;
        try
        {
            // Switching versioned settings on leaves a word of its own: what counts is what changes from here.
            var before = await server.FindStatusAsync(Id, either.Token).ConfigureAwait(false);
            await server.LoadAsync(Id, cancel).ConfigureAwait(false);
            while (true)
            {
                var now = await server.FindStatusAsync(Id, either.Token).ConfigureAwait(false);
                if (now is not null && now.Stamp != before?.Stamp)
                {
                    if (now.IsWarning || now.Errors.Count > 0) return now;
                    // No word of the server's is documented as the last one. All projects are there and it says the same twice:
                    // that is the end.
                    if (now.Stamp == last?.Stamp && await MissingAsync(either.Token).ConfigureAwait(false) is null) return now;
                }
                last = now ?? last;
                await Task.Delay(Between, context.Time, either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            var missing = await MissingAsync(cancel).ConfigureAwait(false);
            throw new UnavailableException(
                "teamcity",
                $"the server has not loaded the settings within {Durations.Show(limit)}" +
                    (missing is null ? "" : $", the project \"{missing}\" is not there") +
                    $"; it says \"{last?.Message ?? "nothing"}\". Look at {Id} | Versioned Settings, " +
                    $"and whether the server reaches {target.Root.Parameters["url"]}; then run again");
        }
    }


    private async Task<string?> MissingAsync(CancellationToken cancel)
    {
        foreach (var project in target.Below)
            if (await server.FindConfigAsync(project, cancel).ConfigureAwait(false) is null) return project;
        return null;
    }

    // What no REST call does.
    private async Task ManualAsync()
    {
        var tools = tree.Projects.Values.Select(project => project.Parameters)
            .Concat(tree.Builds.Values.Select(build => build.Parameters))
            .Concat(tree.Builds.Values.SelectMany(build => build.Runners).Select(runner => runner.Parameters))
                .Concat(tree.Recipes.Values.SelectMany(recipe => recipe.Runners).Select(runner => runner.Parameters))
            .SelectMany(parameters => parameters.All)
                .SelectMany(parameter => References.In(parameter.Value))
                .Where(name => name.StartsWith(Tool, StringComparison.Ordinal))
            .Select(name => name[Tool.Length..]).Distinct().Order(StringComparer.Ordinal);
        foreach (var tool in tools)
            await SayAsync(
                $"by hand  upload {tool}.zip (build.ps1 pack makes it) on the page Administration | Tools; " +
                "the archive's name is the tool's id").ConfigureAwait(false);
        foreach (var place in places.Where(place => place.Token is null && place.Parameter.Value.Length == 0))
            await SayAsync(
                $"by hand  {place.Name} is empty; where your set-up needs it, give it with --secrets and " +
                "--prepare").ConfigureAwait(false);
        var open = tree.Projects.Values.Select(project => (project.Id, project.Parameters))
            .Concat(tree.Builds.Values.Select(build => (build.Id, build.Parameters)))
            .SelectMany(
                owner => owner.Parameters.All
                    .Where(parameter => parameter is { IsPassword: false, Value.Length: 0, Spec: not null })
                    .Select(parameter => $"{owner.Id}:{parameter.Name} ({parameter.At})"));
        foreach (var parameter in open)
            await SayAsync(
                $"by hand  {parameter} is empty; set it in the settings repository where your set-up " +
                "needs it").ConfigureAwait(false);
    }

    private Task SayAsync(string text) => context.Output.WriteLineAsync(context.Log.Mask.Apply(text));
}
