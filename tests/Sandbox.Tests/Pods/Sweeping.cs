using System.Diagnostics;
using CiSteps.Fixtures;
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
        var folders = new Dictionary<string, string>();
        foreach (var (name, process) in new[] { ("dead", dead), ("alive", alive) })
        {
            folders[name] = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "ci-steps-sandbox", $"{name}-{engine.Id}")).FullName;
            var labels = new Dictionary<string, string>(engine.Labels)
            {
                ["dev.cisteps.sandbox"] = $"{name}-{engine.Id}",
                ["dev.cisteps.sandbox.session"] = $"{name}-{engine.Id}",
                ["dev.cisteps.sandbox.owner"] = SandboxOwner.Of(process.Id),
                ["dev.cisteps.sandbox.folder"] = folders[name],
            };
            await engine.Engine.CreateNetworkAsync(new($"cisteps-test-{name}-{engine.Id}") { Labels = labels });
            var id = await engine.Engine.CreateContainerAsync(new(image.ToString()) { Command = ["sleep", "1000"], Labels = labels, NetworkMode = $"cisteps-test-{name}-{engine.Id}" });
            await engine.Engine.StartContainerAsync(id);
        }

        dead.Kill();
        await dead.WaitForExitAsync();
        await using (await PodHost.OpenAsync(new() { Cluster = "sweeper" }))
        {
            // Opening swept.
        }

        var left = await engine.Engine.ListContainersAsync(new Dictionary<string, string?> { [LocalEngine.Label] = engine.Id });
        Assert.That(left.Select(c => c.Labels["dev.cisteps.sandbox"]), Is.EqualTo(new[] { $"alive-{engine.Id}" }));
        Assert.That((await engine.Engine.ListNetworksAsync(new Dictionary<string, string?> { [LocalEngine.Label] = engine.Id })).Select(n => n.Labels["dev.cisteps.sandbox"]), Is.EqualTo(new[] { $"alive-{engine.Id}" }));
        Assert.That((Directory.Exists(folders["dead"]), Directory.Exists(folders["alive"])), Is.EqualTo((false, true)));
        alive.Kill();
        Directory.Delete(folders["alive"]);
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
}
