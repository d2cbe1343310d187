using CiSteps.Cli.Scaffolding;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.Repositories;
using CiSteps.TeamCity.Scaffolding;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps scaffold</c>: settings for one more service, and a first ci-steps.yaml.</summary>
internal static class ScaffoldCommand
{
    private static readonly StepOption<string> Service = StepOption.Text("service",
        "the service's name, such as greeter-api; its projects get ids of their own from it");
    private static readonly StepOption<string> Repository = StepOption.Text("repository", "address of its repository");
    private static readonly StepOption<string> Target = StepOption.Text(
        "target-branch", "branch that releases come from", "main");
    private static readonly StepOption<string> Private = StepOption.Text(
        "private-branches", "pattern of the branches that the branch chain builds", "ci/*");
    private static readonly StepOption<string> WorkTree = StepOption.Text("work-tree",
        "also write a first ci-steps.yaml to this checkout of the service, unless it has one; what to see to is marked in it");
    private static readonly StepOption<bool> Overwrite = StepOption.Switch("overwrite",
        "write files that exist with other content, too");
    private static readonly StepOption<bool> DryRun = StepOption.Switch("dry-run", "print what would change and write nothing");

    public static ProgramCommand Create() =>
        new(
            "scaffold",
            "Writes the TeamCity settings of one more service from those of this tree; " +
            "shows what changes and overwrites nothing unasked.",
            [Service, Repository, Target, Private, RunCommand.SettingsFolder, WorkTree, Overwrite, DryRun],
            RunAsync);

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var settings = context.Options;
        var request = new ServiceRequest(
            settings.Get(Service), settings.Get(Repository), settings.Get(Target), settings.Get(Private));
        var folder = Path.GetFullPath(RunSession.FindSettings(settings.Find(RunCommand.SettingsFolder)));
        if (Directory.Exists(Path.Combine(folder, ".teamcity"))) folder = Path.Combine(folder, ".teamcity");
        RefuseTaken(folder, request);
        var files = ServiceSettings
            .For(folder, request)
            .ToDictionary(pair => Path.Combine(folder, pair.Key), pair => pair.Value, StringComparer.Ordinal);
        if (settings.Find(WorkTree) is { } workTree)
        {
            if (!Directory.Exists(workTree)) throw new UsageException($"the work tree \"{workTree}\" does not exist");
            var pipeline = Path.Combine(Path.GetFullPath(workTree), "ci-steps.yaml");
            if (!File.Exists(pipeline))
                files[pipeline] = StarterPipeline.For(
                    Path.GetFullPath(workTree), request.Service, request.TargetBranch, request.PrivateBranches);
        }
        var added = files.Where(file => !File.Exists(file.Key)).ToList();
        var changed = files.Where(file => File.Exists(file.Key) && File.ReadAllText(file.Key) != file.Value).ToList();
        foreach (var (path, _) in added) await context.Output.WriteLineAsync($"new      {Shown(folder, path)}");
        foreach (var (path, text) in changed)
        {
            await context.Output.WriteLineAsync($"changed  {Shown(folder, path)}");
            foreach (var line in LineDiff.Of(await File.ReadAllTextAsync(path, cancel), text))
                await context.Output.WriteLineAsync("  " + line);
        }
        if (added.Count + changed.Count == 0)
        {
            await context.Output.WriteLineAsync(
                $"the settings of {request.Service} are up to date: {Count.Of(files.Count, "file")}");
            return ExitCode.Done;
        }
        if (settings.Get(DryRun)) return ExitCode.Done;
        if (changed.Count > 0 && !settings.Get(Overwrite))
        {
            await context.Error.WriteLineAsync(
                $"ci-steps: {Count.Of(changed.Count, "file exists", "files exist")} with other content, " +
                "so nothing was written; look at the lines above, then give --overwrite or keep them");
            return ExitCode.Refused;
        }
        foreach (var (path, text) in added.Concat(changed))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllTextAsync(path, text, cancel);
        }
        await context.Output.WriteLineAsync(
            "set what is the service's own in its projects: secrets (ci-steps install --prepare), registry user, kubeconfigs");
        await context.Output.WriteLineAsync(
            $"{added.Count} new and {Count.Of(changed.Count, "changed file")} written; check them with ci-steps check, " +
            "then commit them to the settings repository");
        return ExitCode.Done;
    }

    // The id of another thing in the tree, or a project that was made for another repository.
    private static void RefuseTaken(string folder, ServiceRequest request)
    {
        var (tree, own) = (SettingsReader.Read(folder), $"CiSteps_{request.IdPart}");
        if (tree.Builds.ContainsKey(own) || tree.VcsRoots.ContainsKey(own) || tree.Recipes.ContainsKey(own))
            throw new UsageException(
                $"the service name \"{request.Service}\" gives the id \"{own}\", which the settings use already; give another");
        if (tree.VcsRoots.TryGetValue($"{own}_Repository", out var root)
            && root.Parameters["url"] is { } url
            && url != request.Repository)
            throw new UsageException(
                $"{root.At}: the settings have a service \"{own}\" of the repository {OriginRemote.WithoutCredentials(url)} " +
                "already; give this one another name, or change the address there");
    }

    private static string Shown(string folder, string path) =>
        path.StartsWith(folder, StringComparison.Ordinal) ? Path.GetRelativePath(folder, path).Replace('\\', '/') : path;
}
