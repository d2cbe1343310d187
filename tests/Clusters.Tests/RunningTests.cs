using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class RunningTests
{
    private const string LogPath = "/api/v1/namespaces/shop/pods/tests-1/log";
    private FakeApiServer server = null!;
    private Cluster cluster = null!;
    private StringWriter output = null!;
    private BuildLog log = null!;
    private List<string> lines = null!;

    private static Manifest Job =>
        TestJob.Once(
            ManifestFiles.Parse(
                "{apiVersion: batch/v1, kind: Job, metadata: {name: tests, namespace: shop}, spec: {template: {spec: " +
                "{containers: [{name: tests, image: \"t:1\"}]}}}}",
                "job.yaml").Items[0]);

    [SetUp]
    public async Task SetUp()
    {
        server = await FakeApiServer.StartAsync();
        output = new StringWriter();
        log = new BuildLog(TextWriter.Synchronized(output), forServer: false);
        cluster = await Cluster.ConnectAsync(server.Kubeconfig, log, new ImpatientTime());
        lines = [];
    }

    [TearDown]
    public async Task TearDown()
    {
        cluster.Dispose();
        await output.DisposeAsync();
        await server.DisposeAsync();
    }

    [TestCase(0)]
    [TestCase(3)]
    public async Task Brings_home_every_line_and_the_exit_code(int exit)
    {
        server.Special[LogPath] = (_, response, _) => WriteAsync(response, Line(1, "one"), Line(2, "two"), Line(3, ""));
        var run = RunAsync();
        await MadeAsync();

        PutPod(new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = exit } }, exit == 0 ? "Succeeded" : "Failed");
        var result = await run;

        Assert.Multiple(() =>
        {
            Assert.That(result.ExitCode, Is.EqualTo(exit));
            Assert.That(result.Failure, Is.Null);
            Assert.That(result.Lines, Is.EqualTo(new[] { "one", "two", "" }));
            Assert.That(lines, Is.EqualTo(result.Lines));
        });
    }

    [Test]
    public async Task Takes_no_line_twice_and_loses_none_when_the_stream_breaks()
    {
        var opened = 0;
        var ended = new TaskCompletionSource();
        server.Special[LogPath] = async (_, response, cancel) =>
        {
            // The first stream breaks after two lines; the next begins again with the whole second, as servers do.
            var isFirst = Interlocked.Increment(ref opened) == 1;
            await WriteAsync(
                response,
                isFirst
                    ? [Line(1, "one"), Line(1, "same moment")]
                    : [Line(1, "one"), Line(1, "same moment"), Line(1, "third of that moment"), Line(2, "last")]);
            if (!isFirst)
            {
                ended.TrySetResult();
                if (opened == 2) await Task.Delay(Timeout.Infinite, cancel).ContinueWith(_ => { }, TaskScheduler.Default);
            }
        };
        var run = RunAsync();
        await MadeAsync();
        PutPod(new JsonObject { ["running"] = new JsonObject() }, "Running");
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(20));
        while (lines.Count < 4) await Task.Delay(5);

        PutPod(new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = 0 } }, "Succeeded");
        var result = await run;

        Assert.That(result.Lines, Is.EqualTo(new[] { "one", "same moment", "third of that moment", "last" }));
    }

    [Test]
    public async Task Fails_early_when_the_image_does_not_exist()
    {
        var run = RunAsync();
        await MadeAsync();

        PutPod(
            new JsonObject { ["waiting"] = new JsonObject { ["reason"] = "ErrImagePull", ["message"] = "manifest unknown" } },
            "Pending");
        var result = await run;

        Assert.That((result.ExitCode, result.Failure!.Reason), Is.EqualTo((default(int?), "image-not-found")));
    }

    [Test]
    public async Task Keeps_what_an_evicted_pod_wrote()
    {
        server.Special[LogPath] = (_, response, _) => WriteAsync(response, Line(1, "ok 1"));
        var run = RunAsync();
        await MadeAsync();
        PutPod(new JsonObject { ["running"] = new JsonObject() }, "Running");
        while (lines.Count == 0) await Task.Delay(5);

        PutPod(new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = 137 } }, "Failed", "Evicted");
        var result = await run;

        Assert.Multiple(() =>
        {
            Assert.That(result.Failure!.Reason, Is.EqualTo("test-pod-evicted"));
            Assert.That(result.Lines, Is.EqualTo(new[] { "ok 1" }));
        });
    }

    [Test]
    public async Task Notices_that_its_pod_is_gone()
    {
        server.Special[LogPath] = (_, response, _) => WriteAsync(response, Line(1, "ok 1"));
        var run = RunAsync();
        await MadeAsync();
        PutPod(new JsonObject { ["running"] = new JsonObject() }, "Running");
        while (lines.Count == 0) await Task.Delay(5);

        server.Remove(Kinds.Pod.Path("shop", "tests-1"));

        Assert.That((await run).Failure!.Reason, Is.EqualTo("test-pod-lost"));
    }

    [Test]
    public async Task Ends_with_the_time_and_the_last_words()
    {
        server.Special[LogPath] = async (_, response, cancel) =>
        {
            await WriteAsync(response, Line(1, "# testing the slow one"));
            await Task.Delay(Timeout.Infinite, cancel).ContinueWith(_ => { }, TaskScheduler.Default);
        };
        var run = RunAsync(TimeSpan.FromMinutes(1));
        await MadeAsync();
        PutPod(new JsonObject { ["running"] = new JsonObject() }, "Running");

        var result = await run;

        Assert.Multiple(() =>
        {
            Assert.That(result.Failure!.Reason, Is.EqualTo("tests-timeout"));
            Assert.That(result.Failure.Text, Does.Contain("# testing the slow one"));
            Assert.That(output.ToString(), Does.Contain("running"));
        });
    }

    [Test]
    public async Task Says_why_the_cluster_gave_the_job_up()
    {
        var run = RunAsync();
        await MadeAsync();

        var job = server.Find(Kinds.Job.Path("shop", "tests"))!;
        job["status"] = Scene.Json(
            """
            {"conditions":[{"type":"Failed","status":"True","reason":"DeadlineExceeded",
             "message":"Job was active longer than specified deadline"}]}
            """);
        server.Put(Kinds.Job.Path("shop", "tests"), job);

        Assert.That((await run).Failure!.Reason, Is.EqualTo("tests-timeout"));
    }

    [Test]
    public async Task Removes_an_older_job_of_the_same_name_first()
    {
        server.Put(Kinds.Job.Path("shop", "tests"), Scene.Json("""{"metadata":{"uid":"old"} }"""));
        var run = RunAsync();
        await MadeAsync();

        Assert.That((string?)server.Find(Kinds.Job.Path("shop", "tests"))!["metadata"]!["uid"], Is.Not.EqualTo("old"));
        PutPod(new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = 0 } }, "Succeeded");
        await run;
    }

    [Test]
    public async Task Diagnoses_into_files_and_a_short_block_without_a_secret()
    {
        using var folder = new TestFolder();
        server.Special["/api/v1/namespaces/shop/pods/a/log"] = (request, response, _) => WriteAsync(
            response, request.Query["previous"] == "true" ? "panic: the cause, with fake-token-of-the-test" : "starting");
        server.Put(Kinds.Pod.Path("shop", "a"), Scene.WaitingPod("a", "CrashLoopBackOff", "back-off 20s", 3));
        server.Put(Kinds.Event.Path("shop", "e"), Scene.Event("a", "BackOff", "Back-off restarting failed container"));
        server.Put(Kinds.Secret.Path("shop", "s"), Scene.Json("""{"data":{"password":"aHVudGVyMg=="} }"""));

        var files = await Diagnosis.CollectAsync(cluster, "shop", folder.Of("diagnosis"), log, default);

        var all = string.Concat(files.Select(File.ReadAllText)) + output;
        Assert.Multiple(() =>
        {
            Assert.That(
                output.ToString(), Does.Contain("CrashLoopBackOff").And.Contain("3 restarts").And.Contain("panic: the cause"));
            Assert.That(
                files.Select(Path.GetFileName),
                Is.SupersetOf(new[] { "events.txt", "pods.json", "a.greeter.log", "a.greeter.previous.log" }));
            Assert.That(all, Does.Not.Contain("aHVudGVyMg==").And.Not.Contain("fake-token-of-the-test"));
        });
    }

    [Test]
    public async Task Diagnoses_what_it_can_when_the_cluster_has_gone()
    {
        using var folder = new TestFolder();
        server.Answer = _ => (401, FakeApiServer.Status(401, "Unauthorized", "revoked"));

        await Diagnosis.CollectAsync(cluster, "shop", folder.Of("diagnosis"), log, default);

        Assert.That(output.ToString(), Does.Contain("the diagnosis is incomplete"));
    }

    private Task<TestJobResult> RunAsync(TimeSpan? limit = null) =>
        TestJob.RunAsync(cluster, Job, limit ?? TimeSpan.FromMinutes(30), log, line =>
        {
            lock (lines) lines.Add(line);
        }, default).WaitAsync(TimeSpan.FromSeconds(30));

    private Task MadeAsync() =>
        server.WatchedAsync(Kinds.Pod.Collection("shop"), Kinds.Event.Collection("shop"), Kinds.Job.Collection("shop"));

    private void PutPod(JsonObject state, string phase, string? reason = null)
    {
        var pod = Scene.Json(
            """
            {"metadata":{"name":"tests-1","uid":"p-1","labels":{"job-name":"tests"} },
             "spec":{"containers":[{"name":"tests","image":"t:1"}]},
             "status":{"containerStatuses":[{"name":"tests","restartCount":0}]} }
            """);
        pod["metadata"]!["ownerReferences"] = new JsonArray(new JsonObject
        {
            ["uid"] = server.Find(Kinds.Job.Path("shop", "tests"))!.Uid(),
            ["controller"] = true
        });
        pod["status"]!["phase"] = phase;
        if (reason is not null) pod["status"]!["reason"] = reason;
        pod["status"]!["containerStatuses"]![0]!["state"] = state;
        server.Put(Kinds.Pod.Path("shop", "tests-1"), pod);
    }

    private static string Line(int second, string text) => $"2026-01-01T00:00:0{second}.000000000Z {text}";

    private static async Task WriteAsync(HttpResponse response, params string[] text)
    {
        foreach (var line in text) await response.WriteAsync(line + "\n");
        await response.Body.FlushAsync();
    }
}
