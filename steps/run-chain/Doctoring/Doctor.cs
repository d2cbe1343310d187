using System.Globalization;
using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Settings;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.RunChain.Doctoring;

/// <summary>What one look found.</summary>
/// <param name="Subject">What was looked at.</param>
/// <param name="IsWell">Whether the steps can work with it; null when it was not looked at, or is only worth knowing.</param>
/// <param name="Text">What was found.</param>
/// <param name="Advice">What to do; empty when nothing has to be done.</param>
internal sealed record Look(string Subject, bool? IsWell, string Text, string Advice = "");

/// <summary>Looks at one thing after the other; a look that fails does not keep the others from being made.</summary>
internal sealed class Doctor(StepContext context)
{
    private const long Gigabyte = 1L << 30;

    private static readonly TimeSpan largestSkew = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(15);

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var looks = new List<Look> { await GitAsync(cancel).ConfigureAwait(false), await EngineAsync(cancel).ConfigureAwait(false) };
        looks.AddRange(Disks());
        looks.AddRange(BuildParameters());
        var (pipeline, found) = Pipeline();
        looks.Add(found);
        if (pipeline is not null)
        {
            looks.AddRange(await RegistryAsync(pipeline, cancel).ConfigureAwait(false));
            looks.Add(await ClockAsync(pipeline.Registry, cancel).ConfigureAwait(false));
        }
        looks.Add(await TestbedsAsync(cancel).ConfigureAwait(false));
        looks.AddRange(await ProductionAsync(pipeline, cancel).ConfigureAwait(false));
        var width = looks.Max(look => look.Subject.Length);
        foreach (var look in looks)
        {
            context.Log.Info($"{look.IsWell switch { true => "ok  ", false => "NOT ", _ => "-   " }} {look.Subject.PadRight(width)}  {look.Text}");
            if (look.Advice.Length > 0) context.Log.Info($"     {new string(' ', width)}  -> {look.Advice}");
        }
        var ill = looks.Where(look => look.IsWell == false).Select(look => look.Subject).ToList();
        return ill.Count == 0 ? Outcome.Done($"{looks.Count(look => look.IsWell == true)} things are as the steps need them")
            : Outcome.Refused("not-ready", $"not as the steps need it: {string.Join(", ", ill)}; see the lines above for what to do");
    }

    private async Task<Look> GitAsync(CancellationToken cancel)
    {
        try
        {
            var (exit, output, _) = await ChildProcess.CaptureAsync("git", ["--version"], context.WorkTree, null, cancel).ConfigureAwait(false);
            if (exit != 0) return new("git", false, "git does not run", "install git");
            var (read, _, error) = await ChildProcess.CaptureAsync("git", ["ls-remote", "--heads", "origin"], context.WorkTree,
                new Dictionary<string, string?> { ["GIT_TERMINAL_PROMPT"] = "0" }, cancel).ConfigureAwait(false);
            return read == 0 ? new("git", true, $"{output.Trim()}; the origin answers")
                : new("git", null, $"{output.Trim()}; the origin was not reached from here: {error.Trim().Split('\n')[^1]}", "on an agent the checkout has rights of its own; merge needs CISTEPS_GIT_TOKEN for https");
        }
        catch (UsageException)
        {
            return new("git", false, "there is no git on the path", "install git: agents check out with it, and run-chain too");
        }
    }

    private static async Task<Look> EngineAsync(CancellationToken cancel)
    {
        try
        {
            using var engine = await ContainerEngine.ConnectAsync(null, cancel).ConfigureAwait(false);
            var found = await engine.DescribeAsync(cancel).ConfigureAwait(false);
            return new("engine", true, $"{found.Version} at {found.Endpoint}, {found.Platform}, {found.Cpus} cores, {found.MemoryBytes / Gigabyte} GiB");
        }
        catch (Exception failure) when (failure is UnavailableException or UsageException)
        {
            return new("engine", false, failure.Message, "start a container engine, let this user reach it, or set DOCKER_HOST");
        }
    }

    private IEnumerable<Look> Disks()
    {
        foreach (var (name, folder) in new[] { ("disk of the work tree", context.WorkTree), ("disk for temporary files", Path.GetTempPath()) })
        {
            var free = new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
            yield return new(name, free >= Gigabyte, $"{free / (double)Gigabyte:0.0} GiB free at {folder}", free < 5 * Gigabyte ? "images and contexts need room; 5 GiB is little" : "");
        }
    }

    private IEnumerable<Look> BuildParameters()
    {
        if (!context.IsOnServer)
        {
            yield return new("build parameters", null, "not inside a build: branch and commit come from the work tree");
            yield break;
        }
        foreach (var name in new[] { "teamcity.build.branch", "build.vcs.number", "build.number", "teamcity.build.checkoutDir" })
            if (context.Settings.Properties.Find(name) is not { Length: > 0 })
                yield return new("build parameters", false, $"the build server gives no \"{name}\"", "attach the VCS root to the configuration, with a branch specification");
    }

    private (PipelineDefinition?, Look) Pipeline()
    {
        var name = context.Settings.Get(StepCommand.Configuration);
        try
        {
            var pipeline = PipelineFile.Read(Path.Combine(context.WorkTree, name));
            return (pipeline, new("pipeline file", true, $"{name}: {pipeline.Components.Count} components, {pipeline.Suites.Count} suites"));
        }
        catch (UsageException failure)
        {
            return (null, new("pipeline file", false, failure.Message, "run-chain scaffold --work-tree writes a first one"));
        }
    }

    private async Task<IReadOnlyList<Look>> RegistryAsync(PipelineDefinition pipeline, CancellationToken cancel)
    {
        var push = context.Settings.Find(ChainRun.Registry) ?? pipeline.Registry.Push;
        if (pipeline.Components.FirstOrDefault(component => component.Image is not null) is not { } component) return [new("registry", null, "no component has an image")];
        var looks = new List<Look>();
        try
        {
            var client = RegistryClient.Open(context, pipeline.Registry.PlainHttp, push);
            var digest = await client.FindDigestAsync(ImageReference.Parse($"{push}/{component.Name}:{component.Major}-production"), cancel).ConfigureAwait(false);
            looks.Add(new("registry", true, $"{push} answers; {component.Name} " + (digest is null ? "has no production tag yet" : $"is production ready at {digest[..Math.Min(19, digest.Length)]}")));
            if (!context.Settings.Get(DoctorCommand.Write)) return [.. looks, new("registry, pushing", null, "not tried; give --write")];
            var branch = ImageReference.Parse($"{push}/{pipeline.Registry.BranchPrefix}/{component.Name}");
            await client.UploadBlobAsync(branch, "{}"u8.ToArray(), "application/vnd.oci.empty.v1+json", cancel).ConfigureAwait(false);
            looks.Add(new("registry, pushing", true, $"may push to {push}/{pipeline.Registry.BranchPrefix}/{component.Name}"));
        }
        catch (Exception failure) when (failure is UnavailableException or UsageException)
        {
            looks.Add(new(looks.Count == 0 ? "registry" : "registry, pushing", false, failure.Message, "log in with your engine's client, or set CISTEPS_REGISTRY_USER and CISTEPS_REGISTRY_PASSWORD"));
        }
        return looks;
    }

    private async Task<Look> ClockAsync(RegistryDefinition registry, CancellationToken cancel)
    {
        var host = registry.Push.Split('/')[0];
        var scheme = registry.PlainHttp || host.StartsWith("localhost", StringComparison.Ordinal) || host.StartsWith("127.", StringComparison.Ordinal) ? "http" : "https";
        try
        {
            using var http = new HttpClient { Timeout = limit };
            using var answer = await http.GetAsync(new Uri($"{scheme}://{host}/v2/"), cancel).ConfigureAwait(false);
            if (answer.Headers.Date is not { } there) return new("clock", null, "the registry tells no time");
            var skew = (context.Time.GetUtcNow() - there).Duration();
            return new("clock", skew <= largestSkew, $"{skew.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)}s from the registry's", skew <= largestSkew ? "" : "leases and certificates need a right clock: set up time synchronisation");
        }
        catch (Exception failure) when (failure is HttpRequestException or UriFormatException or TaskCanceledException && !cancel.IsCancellationRequested)
        {
            return new("clock", null, "not compared: the registry did not answer");
        }
    }

    private async Task<Look> TestbedsAsync(CancellationToken cancel)
    {
        var settings = context.Settings;
        if ((context.FindSecret(TestbedAccess.ContentVariable) ?? settings.Find(TestbedAccess.Management)) is { } management)
            return await ClusterAsync("testbed pool", management, settings.Get(TestbedAccess.Namespace), [("create", "cisteps.dev", "testbedclaims"), ("delete", "cisteps.dev", "testbedclaims"), ("watch", "cisteps.dev", "testbedclaims")],
                "give this user a claimant's rights (testbed-pool install makes the role)", cancel).ConfigureAwait(false);
        if (settings.Find(TestbedAccess.Kubeconfig) is { } one)
            return await ClusterAsync("testbed", one, null, [("create", "", "namespaces"), ("delete", "", "namespaces"), ("create", "apps", "deployments"), ("update", "coordination.k8s.io", "leases")],
                "integration tests need an administrator of that cluster", cancel).ConfigureAwait(false);
        return new("testbeds", null, "none given; run-chain run brings up a sandbox by itself", "give CISTEPS_TESTBED_KUBECONFIG for a pool, or CISTEPS_KUBECONFIG for one cluster");
    }

    private async Task<IReadOnlyList<Look>> ProductionAsync(PipelineDefinition? pipeline, CancellationToken cancel)
    {
        var looks = new List<Look>();
        foreach (var target in pipeline?.Production?.Waves.SelectMany(wave => wave.Targets) ?? [])
        {
            var subject = $"production \"{target.Name}\"";
            if (context.Settings.Environment.GetValueOrDefault(target.Kubeconfig) is not { Length: > 0 } path) looks.Add(new(subject, null, $"{target.Kubeconfig} is not set here, as it should be on the branch side"));
            else looks.Add(await ClusterAsync(subject, path, target.Namespace, [("patch", "apps", "deployments"), ("get", "", "pods")], $"give this user the rights to roll out in namespace {target.Namespace}", cancel).ConfigureAwait(false));
        }
        return looks;
    }

    private async Task<Look> ClusterAsync(string subject, string kubeconfig, string? ns, IReadOnlyList<(string Verb, string Group, string Resource)> needed, string advice, CancellationToken cancel)
    {
        try
        {
            using var cluster = await Cluster.ConnectAsync(kubeconfig, context.Log, context.Time, cancel).ConfigureAwait(false);
            var refused = new List<string>();
            foreach (var (verb, group, resource) in needed)
                if (!await cluster.MayAsync(verb, group, resource, ns, cancel).ConfigureAwait(false)) refused.Add($"{verb} {resource}");
            return refused.Count == 0 ? new(subject, true, $"{cluster.Server} answers, rights are there") : new(subject, false, $"{cluster.Server}: may not {string.Join(", ", refused)}", advice);
        }
        catch (Exception failure) when (failure is UnavailableException or UsageException or ClusterApiException)
        {
            return new(subject, false, failure.Message, "check the kubeconfig, and whether the cluster can be reached from here");
        }
    }
}
