using CiSteps.Clusters;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Sandbox;

namespace CiSteps.Benchmarks;

/// <summary>
/// A roll-out that cannot succeed, from apply to the report of it, against kubectl, which waits for the progress deadline.
/// </summary>
internal static class FailedRollout
{
    // Kubernetes' own default is 600.
    private const int Deadline = 20;

    public static async Task RunAsync(Table table)
    {
        await using var engine = await LocalEngine.OpenAsync();
        var image = await engine.MakeBaseImageAsync();
        await using var sandbox = await SandboxCluster.StartAsync(new SandboxOptions { Name = "benchmark" });
        var log = new BuildLog(TextWriter.Null, forServer: false);
        using var cluster = await Cluster.ConnectAsync(sandbox.KubeconfigPath, log, TimeProvider.System);
        using var folder = new TestFolder();
        var number = 0;
        await table.CompareAsync($"failed roll-out reported, progress deadline {Deadline} s (usual: 600 s)", 3, async () =>
        {
            var name = Apply();
            var failure = await cluster.ApplyAsync(
                ManifestFiles.Load(folder.Path, [$"{name}.yaml"]), dryRun: false, CancellationToken.None);
            if (failure is not null) throw new InvalidOperationException(failure.Text);
            var result = await Rollout.WatchAsync(
                cluster,
                new RolloutTarget("Deployment", "default", name, "app", [], TimeSpan.FromMinutes(5)),
                log,
                CancellationToken.None);
            if (result.Failure is null) throw new InvalidOperationException("the roll-out succeeded");
        }, "`kubectl rollout status`", async () =>
        {
            var name = Apply();
            await Programs.RunInAsync(
                folder.Path, "kubectl", "--kubeconfig", sandbox.KubeconfigPath, "apply", "-f", $"{name}.yaml");
            var (exit, _, _) = await ChildProcess.CaptureAsync(new(
                "kubectl", ["--kubeconfig", sandbox.KubeconfigPath, "rollout", "status", "deployment/" + name], folder.Path));
            if (exit == 0) throw new InvalidOperationException("the roll-out succeeded");
        });

        string Apply()
        {
            var name = $"fails-{++number}";
            folder.Write(name + ".yaml", $$$"""
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: {{{name}}}, namespace: default}
                spec:
                  progressDeadlineSeconds: {{{Deadline}}}
                  selector: {matchLabels: {app: {{{name}}}}}
                  template:
                    metadata: {labels: {app: {{{name}}}}}
                    spec:
                      containers:
                      - name: app
                        image: {{{image}}}
                        imagePullPolicy: Never
                        command: [sleep, "1000"]
                        envFrom: [{configMapRef: {name: absent}}]
                """);
            return name;
        }
    }
}
