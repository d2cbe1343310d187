using System.Globalization;
using System.Text;
using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Repositories;

namespace CiSteps.Cli.Doctoring;

/// <summary>This machine: git and its origin, the engine, room on disks, what the build server gives.</summary>
internal sealed class MachineChecks(StepContext context)
{
    private const string AllHeads = "teamcity.git.fetchAllHeads";
    private const double Gigabyte = 1L << 30;

    // What no build of a private branch may see.
    private static readonly string[] ReleaseSecrets = ["CISTEPS_SIGNING_KEY", "CISTEPS_PRODUCTION_"];

    private string? engineFolder;

    public async Task<IReadOnlyList<DoctorCheck>> GitAsync(CancellationToken cancel)
    {
        var (exit, version, _) = await GitAsync(["--version"], null, cancel);
        if (exit != 0)
            return [new("git", false, "there is no git that runs", "install git: agents check out with it, and ci-steps too")];
        var (hasOrigin, url, _) = await GitAsync(["remote", "get-url", "origin"], null, cancel);
        if (hasOrigin != 0)
            return [
                new("git", true, version),
                new("git origin", null, $"{context.WorkTree} is not a clone of anything, so nothing could be asked")
            ];
        var token = context.FindSecret(OriginRemote.TokenVariable);
        OriginRemote.MaskCredentials(url, context.Log.Mask);
        var (_, pushUrl, _) = await GitAsync(["remote", "get-url", "--push", "origin"], null, cancel);
        OriginRemote.MaskCredentials(pushUrl, context.Log.Mask);
        // git may know a helper for it; the steps do not.
        foreach (var one in (string[])[url, pushUrl])
            if (OriginRemote.WhyNot(one) is { } notTaken)
                return [new("git", true, version), new("git origin", false, $"has the address {notTaken.Text}", notTaken.Advice)];
        var (address, rights) = (OriginRemote.WithoutCredentials(url), Rights(url, token));
        var (read, _, why) = await GitAsync(["ls-remote", "--heads", "origin"], rights, cancel);
        // The clone on an agent was made with rights of the build server's own, which no step has.
        bool? unless = token is null ? null : false;
        var history = await HistoryAsync(read == 0, cancel);
        if (read != 0)
        {
            // A laptop goes on without an answer, and tests everything; on a build server what the checkout fetched has to do.
            var known = context.IsOnServer && context.Options.Properties.Find(AllHeads) != "true" ? false : unless;
            return
            [
                new("git", true, version),
                new("git origin", known, $"{address} cannot be read from here: {why}",
                    $"each step needs the target branch's tip: give {OriginRemote.TokenVariable} with the right to read " +
                    $"for https, or keys for ssh; or let checkouts fetch all branches (in TeamCity {AllHeads}=true); " +
                    "merge needs the right to push in any case"),
                history,
            ];
        }
        // Nothing is sent: the server is asked for the right to push, as it is before every push.
        var (push, _, refused) = await GitAsync(
            ["push", "--dry-run", "--no-verify", "origin", "HEAD:refs/heads/cisteps-doctor"], rights, cancel);
        return
        [
            new("git", true, version), new("git origin", true, $"{address} answers"), history,
            push == 0
                ? new("git, pushing", true, "may push, as merge does; whether a branch is protected shows only when it is pushed")
                : new("git, pushing", unless, $"may not push: {refused}",
                    $"only merge pushes: give its configuration a {OriginRemote.TokenVariable} that may, for https, " +
                    "or keys for ssh"),
        ];
    }

    // What the checkout holds of what the steps compare with.
    private async Task<DoctorCheck> HistoryAsync(bool canAsk, CancellationToken cancel)
    {
        const string Subject = "git history";
        var (_, shallow, _) = await GitAsync(["rev-parse", "--is-shallow-repository"], null, cancel);
        var (_, remembered, _) = await GitAsync(["for-each-ref", "--format=%(refname:short)", "refs/remotes/origin"], null,
            cancel);
        var branches = remembered.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
        if (shallow == "true")
            return new(Subject, canAsk ? null : false, "the history is cut off (a shallow clone)",
                canAsk ? "the steps deepen it as far as they need, which takes time: let the checkout be complete (in TeamCity " +
                    "teamcity.git.shallowClone=false)"
                    : "it cannot be deepened from here: let the checkout be complete (in TeamCity " +
                        "teamcity.git.shallowClone=false)");
        return new(Subject, true, $"complete; the checkout has {branches} of the origin's branches" +
            (canAsk ? ", and the steps fetch the target's tip where it is not there" : ""));
    }

    public async Task<IReadOnlyList<DoctorCheck>> EngineAsync(CancellationToken cancel)
    {
        try
        {
            var environment = context.Options.Environment;
            using var engine = await ContainerEngine.ConnectToAsync(environment, cancel);
            var found = await engine.DescribeAsync(cancel);
            if (found.IsLocal && Directory.Exists(found.DataFolder)) engineFolder = found.DataFolder;
            var machine = string.Create(CultureInfo.InvariantCulture,
                $"{found.Platform}, {found.Cpus} cores, {found.MemoryBytes / Gigabyte:0} GiB");
            return
            [
                new("engine", true, $"{engine.Product} at {engine.Location}, {machine}"
                    + (engine.IsLocal
                        ? ""
                        : "; it is another machine's, so commands with an image of their own do not run here")),
                engine.IsPodman
                    ? new("docker buildx", null,
                        "is not used with podman: builds take its own builder, and Dockerfiles that need BuildKit another engine")
                    : await BuildxAsync(engine.Location, cancel),
            ];
        }
        catch (Exception failure) when (DoctorCheck.IsFinding(failure))
        {
            return [DoctorCheck.Failed("engine", failure)];
        }
    }

    // Builds work without it; then Dockerfiles that use BuildKit's syntax are refused.
    private async Task<DoctorCheck> BuildxAsync(EngineLocation location, CancellationToken cancel)
    {
        const string Subject = "docker buildx";
        const string Advice = "install docker's client with its buildx plug-in for Dockerfiles that use BuildKit's syntax";
        var environment = context.Options.Environment.ToDictionary(
            pair => pair.Key, pair => (string?)pair.Value, StringComparer.Ordinal);
        foreach (var (name, value) in location.ClientEnvironment) environment[name] = value;
        try
        {
            var (exit, output, error) = await ChildProcess.CaptureAsync(
                new("docker", ["buildx", "version"], context.WorkTree) { Environment = environment }, cancel);
            var said = (exit == 0 ? output : error).Trim().Split('\n')[0];
            return exit == 0
                ? new(Subject, true, said)
                : new(Subject, null, $"is not installed, builds take the engine's own builder: {said}", Advice);
        }
        catch (UsageException)
        {
            return new(Subject, null, "there is no docker on the path, builds take the engine's own builder", Advice);
        }
    }

    /// <summary>Each disk that the steps fill, once.</summary>
    public IEnumerable<DoctorCheck> Disks()
    {
        var least = context.Options.Get(DoctorCommand.LeastDisk);
        var places = new List<(string Subject, string Folder)>
        {
            ("disk of the work tree", context.WorkTree),
            ("disk for temporary files", Path.GetTempPath())
        };
        if (engineFolder is not null) places.Add(("disk of the engine", engineFolder));
        return places.Select(place => Disk(place.Subject, place.Folder, least));
    }

    public IEnumerable<DoctorCheck> BuildParameters()
    {
        const string Subject = "build parameters";
        if (!context.IsOnServer)
        {
            yield return new(Subject, null, "not inside a build: branch and commit come from the work tree");
            yield break;
        }
        string[] needed = ["teamcity.build.branch", "build.vcs.number", "build.number", "teamcity.build.checkoutDir"];
        var missing = needed.Where(name => context.Options.Properties.Find(name) is not { Length: > 0 }).ToList();
        yield return missing.Count == 0
            ? new(Subject, true,
                $"branch {context.Options.Properties.Find(needed[0])}, build number {context.Options.Properties.Find(needed[2])}")
            : new(Subject, false, $"the build server gives no {string.Join(", ", missing)}",
                "attach the VCS root to the configuration, with a branch specification");
        if (context.Options.Properties.Find("teamcity.build.branch.is_default") == "true") yield break;
        var reachable = context.Options.Environment.Keys.Where(
            name => ReleaseSecrets.Any(secret => name.StartsWith(secret, StringComparison.Ordinal))
                && context.Options.Environment[name].Length > 0)
            .Order(StringComparer.Ordinal).ToList();
        if (reachable.Count > 0)
            yield return new("trust", false, $"a build of a private branch can read {string.Join(", ", reachable)}",
                "such parameters belong to the release side's projects and configurations only");
    }

    private static DoctorCheck Disk(string subject, string folder, double least)
    {
        try
        {
            var free = new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace / Gigabyte;
            return new(subject, free >= least, string.Create(CultureInfo.InvariantCulture, $"{free:0.0} GiB free at {folder}"),
                free >= 5 * least
                    ? ""
                    : "images and contexts need room: clean up with the engine's prune, or give the agent a larger disk");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return DoctorCheck.Failed(subject, failure,
                $"{folder} has to be a folder that this user can reach: make it, or name another (TMPDIR for temporary files)");
        }
    }

    // The token goes by the environment: arguments are for everybody to read.
    private Dictionary<string, string?>? Rights(string url, string? token)
    {
        if (token is null || !url.StartsWith("http", StringComparison.OrdinalIgnoreCase)) return null;
        var user = context.Options.Environment.GetValueOrDefault("CISTEPS_GIT_USER") is { Length: > 0 } given
            ? given
            : "x-access-token";
        return new()
        {
            ["GIT_CONFIG_COUNT"] = "1",
            ["GIT_CONFIG_KEY_0"] = $"http.{new Uri(url).GetLeftPart(UriPartial.Authority)}/.extraHeader",
            ["GIT_CONFIG_VALUE_0"] = "Authorization: Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{token}")),
        };
    }

    private async Task<(int Exit, string Output, string Error)> GitAsync(
        string[] arguments, Dictionary<string, string?>? more, CancellationToken cancel)
    {
        try
        {
            var (exit, output, error) = await GitProgram.CaptureAsync(context.WorkTree, arguments, more, cancel);
            return (exit, output.Trim(), error.Trim().Split('\n')[^1]);
        }
        catch (UsageException)
        {
            return (-1, "", "there is no git on the path");
        }
    }
}
