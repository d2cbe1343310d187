using System.Diagnostics;
using System.Globalization;
using CiSteps.Cli.Sandboxes;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Cli.Tests;

/// <summary>
/// <c>ci-steps sandbox</c> as a person uses it: real processes on the real engine, each test with a state folder of its own.
/// </summary>
[Category("NeedsDocker")]
public sealed class The_sandbox_command
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private const string Owner = "dev.cisteps.sandbox.owner";

    private readonly HashSet<string> owners = [];
    private TestFolder folder = null!;

    private string State => folder.Of("state");

    [SetUp]
    public void Make() => folder = new TestFolder();

    [TearDown]
    public async Task Remove()
    {
        await RunAsync("down");
        folder.Dispose();
    }

    [Test]
    public async Task Brings_clusters_up_once_and_down_once_and_leaves_nothing()
    {
        var up = await RunAsync("up", "--clusters", "one,two");
        Assert.That(up.Exit, Is.Zero, up.Error);
        var process = SandboxState.Read(State)!.ProcessId;
        Assert.That((await RunAsync("up", "--clusters", "two,one")).Output, Does.Contain("is up already"));
        Assert.That(SandboxState.Read(State)!.ProcessId, Is.EqualTo(process));
        Assert.That(await LeftAsync(), Has.Length.EqualTo(4), "a router and a network for each");

        Assert.That((await RunAsync("status")).Exit, Is.Zero);
        var kubeconfig = (await RunAsync("kubeconfig", "two")).Output.Trim();
        Assert.That(File.GetUnixFileMode(kubeconfig), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(
            File.GetUnixFileMode(State), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
        Assert.That(await File.ReadAllTextAsync(kubeconfig), Does.Contain("server: https://127.0.0.1:"));

        Assert.That((await RunAsync("down")).Output, Does.StartWith("the sandbox is down"));
        Assert.That(await LeftAsync(), Is.Empty);
        Assert.That(Directory.GetFiles(State, "*.kubeconfig"), Is.Empty);
        // It also removes what others left on this engine, and says so.
        var again = await RunAsync("down");
        Assert.That((again.Exit, again.Error), Is.EqualTo((0, "")));
        Assert.That(again.Output, Does.StartWith("no sandbox is up"));
        Assert.That(await RunAsync("status"), Is.EqualTo((1, "no sandbox is up\n", "")));
    }

    [Test]
    public async Task Two_at_once_bring_up_one_sandbox()
    {
        var ups = await Task.WhenAll(RunAsync("up"), RunAsync("up"), RunAsync("up"));
        Assert.That(ups.Select(up => up.Exit), Is.All.Zero, string.Concat(ups.Select(up => up.Error)));
        Assert.That(ups.Count(up => up.Output.Contains("is up already", StringComparison.Ordinal)), Is.EqualTo(2));
        Assert.That(await LeftAsync(), Has.Length.EqualTo(2), "one router, one network");
    }

    [Test]
    public async Task A_killed_one_is_cleaned_up_by_the_next()
    {
        // Two, because both sweep.
        string[] up = ["up", "--clusters", "one,two"];
        await RunAsync(up);
        var killed = SandboxState.Read(State)!.ProcessId;
        var left = await LeftAsync();
        await KillAsync(killed);
        Assert.That(
            (await RunAsync("status")),
            Is.EqualTo(
                (1, $"the sandbox's process {killed} has ended without cleaning up; ci-steps sandbox down does that\n", "")));
        Assert.That(await LeftAsync(), Is.EquivalentTo(left), "a kill cleans nothing");

        var next = await RunAsync(up);
        Assert.That(next.Exit, Is.Zero, next.Error);
        Assert.That((await LeftAsync()).Intersect(left), Is.Empty, "the next start has swept");

        await KillAsync(SandboxState.Read(State)!.ProcessId);
        Assert.That((await RunAsync("down")).Output, Does.StartWith("the sandbox is down; "));
        Assert.That(await LeftAsync(), Is.Empty);
    }

    [Test]
    public async Task Another_set_of_clusters_or_another_pool_is_refused_while_one_is_up()
    {
        await RunAsync("up", "--clusters", "management,testbed-1");
        foreach (var other in new string[][] { ["--clusters", "management"], ["--clusters", "management,testbed-1", "--pool"] })
        {
            var refused = await RunAsync(["up", .. other]);
            Assert.That(refused.Exit, Is.EqualTo(ExitCode.Usage));
            Assert.That(refused.Error, Does.Contain("take it down first"));
        }
    }

    [TestCase("Bad_Name", "\"Bad_Name\" is not a name for a sandbox cluster")]
    [TestCase("a,a", "the sandbox cluster \"a\" is named twice")]
    [TestCase("a,b,", null)]
    [TestCase(",", "no sandbox cluster is named")]
    [TestCase("", "no sandbox cluster is named")]
    public void Names_are_checked_before_anything_starts(string clusters, string? refusal)
    {
        SandboxPlan Plan() => SandboxPlan.For(clusters.Split(',', StringSplitOptions.RemoveEmptyEntries), pool: false, "small");
        if (refusal is null) Assert.That(Plan().Clusters, Is.EqualTo(new[] { "a", "b" }));
        else Assert.That(Plan, Throws.InstanceOf<UsageException>().With.Message.Contains(refusal));
    }

    [TestCase("unix:///nowhere/docker.sock")]
    [TestCase("tcp://127.0.0.1:1")]
    public async Task Without_an_engine_it_says_so_and_leaves_nothing(string host)
    {
        var up = await RunAsync(["up"], ("DOCKER_HOST", host));
        Assert.That(up.Exit, Is.EqualTo(ExitCode.Unavailable));
        Assert.That(up.Error, Does.Contain($"no container engine answers at \"{host}").And.Not.Contain("unforeseen"));
        Assert.That((await RunAsync("status")).Exit, Is.EqualTo(ExitCode.Refused));
    }

    [Test]
    public async Task A_state_folder_that_cannot_be_is_a_usage_error()
    {
        folder.Write("state", "a file, no folder");
        var up = await RunAsync("up");
        Assert.That(
            (up.Exit, up.Error.Contains("cannot be made", StringComparison.Ordinal)),
            Is.EqualTo((ExitCode.Usage, true)),
            up.Error);
        File.Delete(State);
    }

    [Test]
    public void Kubeconfigs_of_killed_runs_are_forgotten_and_those_of_living_ones_stay()
    {
        var mine = folder.MakeFolder($"state/run-{Environment.ProcessId}");
        var dead = folder.MakeFolder("state/run-4194305");
        RunSandbox.ForgetDead(State);
        Assert.That((Directory.Exists(mine), Directory.Exists(dead)), Is.EqualTo((true, false)));
    }

    [Test]
    public void Runs_that_begin_together_forget_the_same_killed_ones()
    {
        for (var process = 4194305; process < 4194505; process++) folder.MakeFolder($"state/run-{process}/inner");
        Assert.That(() => Parallel.For(0, 8, _ => RunSandbox.ForgetDead(State)), Throws.Nothing);
        Assert.That(Directory.GetDirectories(State), Is.Empty);
    }

    [Test]
    public async Task A_lock_that_cannot_be_made_is_an_error_and_one_that_is_held_is_waited_for()
    {
        using var limit = new CancellationTokenSource(Patience);
        var held = await SandboxState.LockAsync(State, TimeProvider.System, limit.Token);
        var waiting = SandboxState.LockAsync(State, TimeProvider.System, limit.Token);
        Assert.That(waiting.IsCompleted, Is.False);
        held.Dispose();
        (await waiting).Dispose();

        // No way to open this, as on a full or read-only disk.
        var file = Path.Combine(State, "lock");
        File.Delete(file);
        File.CreateSymbolicLink(file, file);
        Assert.That(
            async () => await SandboxState.LockAsync(State, TimeProvider.System, limit.Token),
            Throws.InstanceOf<UsageException>().With.Message.Contains("cannot be written"));
        File.Delete(file);
    }

    private Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments) => RunAsync(arguments, []);

    private async Task<(int Exit, string Output, string Error)> RunAsync(
        string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(
            Path.Combine(AppContext.BaseDirectory, "ci-steps"),
            ["sandbox", .. arguments, "--state", State])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var limit = new CancellationTokenSource(Patience);
        using var process = Process.Start(start)!;
        var (output, error) = (
            process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output, await error);
    }

    private static async Task KillAsync(int id)
    {
        using var process = Process.GetProcessById(id);
        process.Kill();
        using var limit = new CancellationTokenSource(Patience);
        await process.WaitForExitAsync(limit.Token);
    }

    // The engine is shared with other sandboxes. Ours are those of this folder's process, and of those that it had before.
    private async Task<string[]> LeftAsync()
    {
        if (SandboxState.Read(State) is { } state) owners.Add(state.ProcessId.ToString(CultureInfo.InvariantCulture));
        await using var local = await LocalEngine.OpenAsync();
        var every = new Dictionary<string, string?> { [Owner] = null };
        return [.. (await local.Engine.ListContainersAsync(every))
            .Select(container => (container.Name, container.Labels))
            .Concat((await local.Engine.ListNetworksAsync(every)).Select(network => (network.Name, network.Labels)))
            .Where(thing => owners.Contains(thing.Labels[Owner].Split('/')[1])).Select(thing => thing.Name)];
    }
}
