using System.Collections.Concurrent;
using System.Diagnostics;
using CiSteps.Fixtures;
using CiSteps.Images;
using CiSteps.Sandbox.Controllers;
using CiSteps.Sandbox.Pods;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Nothing stays on the engine: not after a stop, not after a process was killed.</summary>
[Category("NeedsDocker")]
public sealed class Sweeping
{
    [Test]
    public async Task A_stopped_cluster_leaves_nothing()
    {
        await using var engine = await LocalEngine.OpenAsync();
        var host = await PodHost.OpenAsync(new() { Cluster = "stopped" });
        await host.ReadyAsync();
        var mine = new Dictionary<string, string?> { ["dev.cisteps.sandbox"] = "stopped" };
        Assert.That(await engine.Engine.ListContainersAsync(mine), Has.Count.EqualTo(1), "the router");
        Assert.That(await engine.Engine.ListNetworksAsync(mine), Has.Count.EqualTo(1));
        await host.DisposeAsync();
        Assert.That(await engine.Engine.ListContainersAsync(mine), Is.Empty);
        Assert.That(await engine.Engine.ListNetworksAsync(mine), Is.Empty);
    }

    [Test]
    public async Task What_a_killed_process_left_goes_at_the_next_start_and_what_a_living_one_has_stays()
    {
        await using var engine = await LocalEngine.OpenAsync();
        var image = await engine.MakeBaseImageAsync();
        using var dead = Process.Start("sleep", "1000");
        using var alive = Process.Start("sleep", "1000");
        var (deadFolders, aliveFolders) = (
            await LeaveAsync(engine, image, "dead", dead.Id), await LeaveAsync(engine, image, "alive", alive.Id));

        dead.Kill();
        await dead.WaitForExitAsync();
        // Clusters of one process open together, and each of them sweeps.
        var reports = new ConcurrentQueue<string>();
        foreach (var host in await Task.WhenAll(Enumerable
            .Range(1, 3)
            .Select(_ => PodHost.OpenAsync(new() { Cluster = "sweeper", Report = reports.Enqueue }))))
            await host.DisposeAsync();
        Assert.That(reports, Is.Empty);

        var left = await engine.Engine.ListContainersAsync(new Dictionary<string, string?> { [LocalEngine.Label] = engine.Id });
        Assert.That(left.Select(c => c.Labels["dev.cisteps.sandbox"]), Is.EqualTo(new[] { $"alive-{engine.Id}" }));
        Assert.That(
            (await engine.Engine.ListNetworksAsync(new Dictionary<string, string?> { [LocalEngine.Label] = engine.Id })).Select(
                n => n.Labels["dev.cisteps.sandbox"]),
            Is.EqualTo(new[] { $"alive-{engine.Id}" }));
        Assert.That(deadFolders.Where(Directory.Exists), Is.Empty);
        Assert.That(aliveFolders.Where(Directory.Exists), Is.EqualTo(aliveFolders));
        alive.Kill();
        foreach (var folder in aliveFolders)
            Directory.Delete(folder);
    }

    [Test]
    public async Task What_several_processes_sweep_at_once_is_gone_for_each_of_them()
    {
        await using var engine = await LocalEngine.OpenAsync();
        var image = await engine.MakeBaseImageAsync();
        var folders = await LeaveAsync(engine, image, "raced", Environment.ProcessId);
        for (var i = 0; i < 200; i++)
            Directory.CreateDirectory(Path.Combine(folders[0], $"{i}", "inner"));
        // They share nothing but the engine, and no lock.
        var runtimes = await Task.WhenAll(Enumerable
            .Range(1, 4)
            .Select(async _ => new EngineRuntime(await ContainerEngine.ConnectAsync())));
        await Task.WhenAll(runtimes.Select(async runtime =>
        {
            await SandboxRemains.RemoveAsync(runtime, $"raced-{engine.Id}", folders[0]);
            Assert.That(folders.Where(Directory.Exists), Is.Empty);
            Assert.That(await runtime.ListNetworksAsync($"{LocalEngine.Label}={engine.Id}", CancellationToken.None), Is.Empty);
            await runtime.DisposeAsync();
        }));
    }

    [Test]
    public async Task Volumes_in_memory_are_the_owners_only_and_go_with_the_cluster()
    {
        var cluster = await RunningCluster.StartAsync();
        string session;
        try
        {
            cluster.Create(Api.Kinds.Pods, """
                {"metadata":{"name":"memory"},"spec":{"terminationGracePeriodSeconds":0,
                "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
                "command":["sh","-c","echo secret > /m/file; exec sleep 1000"],"volumeMounts":[{"name":"m","mountPath":"/m"}]}],
                "volumes":[{"name":"m","emptyDir":{"medium":"Memory"}}]}}
                """);
            var pod = await cluster.UntilReadyAsync("memory");
            session = Directory
                .GetDirectories("/dev/shm", "ci-steps-*")
                .Single(folder => Directory.Exists(Path.Combine(folder, pod.Uid())));
            Assert.That(Directory.Exists(Path.Combine(session, pod.Uid(), "m")));
            Assert.That(
                File.GetUnixFileMode(session),
                Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
        }
        finally
        {
            await cluster.DisposeAsync();
        }

        Assert.That(Directory.Exists(session), Is.False);
    }

    [Test]
    public async Task Several_clusters_stand_side_by_side_with_the_same_names_in_them()
    {
        await using var one = await RunningCluster.StartAsync();
        await using var two = await RunningCluster.StartAsync();
        foreach (var cluster in new[] { one, two })
            cluster.Create(Api.Kinds.Pods, """{"metadata":{"name":"same"},"spec":SLEEPER}""");
        await one.UntilReadyAsync("same");
        await two.UntilReadyAsync("same");
    }

    // What a sandbox has on the engine and on this machine.
    private static async Task<string[]> LeaveAsync(LocalEngine engine, ImageReference image, string name, int process)
    {
        var session = $"{name}-{engine.Id}";
        string[] folders = [SandboxRemains.FolderOf(session), SandboxRemains.MemoryFolderOf(session)!];
        foreach (var folder in folders)
            Directory.CreateDirectory(folder);
        var labels = new Dictionary<string, string>(engine.Labels)
        {
            ["dev.cisteps.sandbox"] = session,
            [SandboxRemains.SessionLabel] = session,
            [SandboxRemains.OwnerLabel] = SandboxOwner.Of(process),
            [SandboxRemains.FolderLabel] = folders[0],
        };
        await engine.Engine.CreateNetworkAsync(new($"cisteps-test-{session}") { Labels = labels });
        var id = await engine.Engine.CreateContainerAsync(new(image.ToString())
        {
            Command = ["sleep", "1000"],
            Labels = labels,
            NetworkMode = $"cisteps-test-{session}"
        });
        await engine.Engine.StartContainerAsync(id);
        return folders;
    }
}
