using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

[Category("NeedsDocker")]
public sealed class ContainerEngineTests
{
    private LocalEngine local = null!;
    private ContainerEngine engine = null!;
    private string image = "";

    [OneTimeSetUp]
    public async Task OpenAsync()
    {
        local = await LocalEngine.OpenAsync();
        engine = local.Engine;
        image = (await local.MakeBaseImageAsync()).ToString();
    }

    [OneTimeTearDown]
    public async Task CloseAsync() => await local.DisposeAsync();

    [Test]
    public async Task Says_what_it_is()
    {
        var description = await engine.DescribeAsync();
        Assert.That(description.IsLocal);
        Assert.That(description.Version, Is.Not.Empty);
        Assert.That(description.Cpus, Is.GreaterThan(0));
        Assert.That(description.MemoryBytes, Is.GreaterThan(0));
        Assert.That(description.Platform, Does.Match("^linux/(amd64|arm64)"));
    }

    [Test]
    public async Task Is_unavailable_and_says_what_to_do_when_no_engine_answers()
    {
        var failure = await Assert.ThrowsAsync<UnavailableException>(
            () => ContainerEngine.ConnectAsync("unix:///nowhere/docker.sock"));
        Assert.That(failure!.Reason, Is.EqualTo("engine"));
        Assert.That(failure.Message, Does.Contain("unix:///nowhere/docker.sock").And.Contain("DOCKER_HOST"));
    }

    [Test]
    public async Task Refuses_an_address_that_is_none() =>
        await Assert.ThrowsAsync<UsageException>(() => ContainerEngine.ConnectAsync("the engine over there"));

    [Test]
    public async Task Runs_a_container_to_its_end_and_reads_both_streams_apart()
    {
        var id = await engine.CreateContainerAsync(Shell("echo out; echo err >&2; printf 'ä\\nlast'; exit 7"));
        Assert.That((await engine.InspectContainerAsync(id))!.Status, Is.EqualTo("created"));
        await engine.StartContainerAsync(id);
        Assert.That(await engine.WaitContainerAsync(id), Is.EqualTo(7));
        var state = (await engine.InspectContainerAsync(id))!;
        Assert.That(state.Running, Is.False);
        Assert.That(state.ExitCode, Is.EqualTo(7));
        Assert.That(state.OomKilled, Is.False);
        Assert.That(state.StartedAt, Is.Not.Null);
        Assert.That(state.FinishedAt, Is.Not.Null);
        var lines = await LinesAsync(id, new LogOptions());
        Assert.That(lines.Where(line => !line.IsError).Select(line => line.Text), Is.EqualTo(new[] { "out", "ä", "last" }));
        Assert.That(lines.Where(line => line.IsError).Select(line => line.Text), Is.EqualTo(new[] { "err" }));
        // podman counts the lines of both streams.
        if (!engine.IsPodman)
            Assert.That(
                (await LinesAsync(id, new LogOptions { Tail = 1, Error = false })).Select(line => line.Text),
                Is.EqualTo(new[] { "last" }));
        Assert.That(
            (await LinesAsync(id, new LogOptions { Timestamps = true, Error = false }))[0].Text,
            Does.Match(@"^\d{4}-\d\d-\d\dT.*Z out$"));
        Assert.That(await LinesAsync(id, new LogOptions { Since = state.FinishedAt!.Value.AddSeconds(5) }), Is.Empty);
    }

    [Test]
    public async Task Follows_output_until_the_container_ends()
    {
        var id = await engine.CreateContainerAsync(
            Shell("read line; echo got $line") with { OpenStdin = true, StdinOnce = true });
        await engine.StartContainerAsync(id);
        var output = new MemoryStream();
        await engine.AttachAsync(id, new MemoryStream("hello\n"u8.ToArray()), output, Stream.Null);
        Assert.That(Encoding.UTF8.GetString(output.ToArray()), Is.EqualTo("got hello\n"));
        Assert.That((await LinesAsync(id, new LogOptions { Follow = true })).Single().Text, Is.EqualTo("got hello"));
    }

    [Test]
    public async Task Reads_a_terminal_as_one_stream()
    {
        var id = await engine.CreateContainerAsync(Shell("echo out; echo err >&2") with { Tty = true });
        await engine.StartContainerAsync(id);
        await engine.WaitContainerAsync(id);
        Assert.That(
            await LinesAsync(id, new LogOptions()),
            Is.EqualTo(new[] { new OutputLine("out", false), new OutputLine("err", false) }));
    }

    [Test]
    public async Task Runs_a_command_in_a_container_with_input_output_and_exit_code()
    {
        var id = await RunningAsync();
        var (output, error) = (new MemoryStream(), new MemoryStream());
        var exit = await engine.ExecAsync(
            id,
            new ExecSpec(["sh", "-c", "cat; echo $NAME >&2; exit 3"]) { Environment = ["NAME=value"] },
            new MemoryStream("first\nsecond\n"u8.ToArray()),
            output,
            error);
        Assert.That(exit, Is.EqualTo(3));
        Assert.That(Encoding.UTF8.GetString(output.ToArray()), Is.EqualTo("first\nsecond\n"));
        Assert.That(Encoding.UTF8.GetString(error.ToArray()), Is.EqualTo("value\n"));
        var (terminal, none) = (new MemoryStream(), new MemoryStream());
        Assert.That(
            await engine.ExecAsync(
                id, new ExecSpec(["sh", "-c", "test -t 1 && echo terminal; echo err >&2"]) { Tty = true }, null, terminal, none),
            Is.Zero);
        Assert.That(Encoding.UTF8.GetString(terminal.ToArray()), Is.EqualTo("terminal\r\nerr\r\n"));
        Assert.That(none.Length, Is.Zero);
        Assert.That(
            await engine.ExecAsync(id, new ExecSpec(["no-such-program"]), null, new MemoryStream(), new MemoryStream()),
            Is.EqualTo(126).Or.EqualTo(127));
    }

    [Test]
    public async Task Stops_and_removes_twice_without_complaint()
    {
        var id = await engine.CreateContainerAsync(Shell("trap 'exit 5' TERM; while true; do sleep 0.1; done"));
        await engine.StartContainerAsync(id);
        await engine.StopContainerAsync(id, TimeSpan.FromSeconds(10));
        await engine.StopContainerAsync(id, TimeSpan.FromSeconds(10));
        await engine.KillContainerAsync(id);
        Assert.That((await engine.InspectContainerAsync(id))!.ExitCode, Is.EqualTo(5));
        await engine.RemoveContainerAsync(id);
        await engine.RemoveContainerAsync(id);
        await engine.KillContainerAsync(id);
        await engine.StopContainerAsync(id, TimeSpan.Zero);
        Assert.That(await engine.InspectContainerAsync(id), Is.Null);
    }

    [Test]
    public async Task Limits_memory_and_tells_that_it_ran_out()
    {
        var id = await engine.CreateContainerAsync(
            Shell("x=$(yes | head -c 90000000); echo done") with { MemoryBytes = 16 << 20 });
        await engine.StartContainerAsync(id);
        Assert.That(await engine.WaitContainerAsync(id), Is.Not.Zero);
        // podman sees it with the second kind of control groups only; the exit code tells it everywhere.
        if (!engine.IsPodman) Assert.That((await engine.InspectContainerAsync(id))!.OomKilled);
    }

    [Test]
    public async Task Gives_a_container_what_its_specification_says()
    {
        using var folder = new TestFolder();
        folder.Write("file", "content\n");
        File.SetUnixFileMode(folder.Path, (UnixFileMode)0b111_101_101);
        var id = await engine.CreateContainerAsync(
            Shell(
                "id -u; pwd; hostname; echo $A; cat /data/file; touch /here || echo read-only; touch /memory/x && echo memory; " +
                "grep extra /etc/hosts") with
            {
                User = "1234:1234",
                WorkingDirectory = "/tmp",
                Hostname = "named",
                Environment = ["A=b c"],
                Binds = [$"{folder.Path}:/data:ro"],
                Tmpfs = new Dictionary<string, string> { ["/memory"] = "mode=1777" },
                ExtraHosts = ["extra:10.1.2.3"],
                ReadOnly = true,
            });
        await engine.StartContainerAsync(id);
        await engine.WaitContainerAsync(id);
        var lines = (await LinesAsync(id, new LogOptions { Error = false })).Select(line => line.Text);
        Assert.That(
            lines, Is.EqualTo(new[] { "1234", "/tmp", "named", "b c", "content", "read-only", "memory", "10.1.2.3\textra" }));
    }

    [Test]
    public async Task Networks_give_names_and_addresses_and_say_when_a_range_is_taken()
    {
        var name = "cisteps-test-" + local.Id;
        var spec = new NetworkSpec(name) { Subnet = "10.231.77.0/24", IpRange = "10.231.77.128/25", Labels = local.Labels };
        var network = await engine.CreateNetworkAsync(spec);
        var taken = await Assert.ThrowsAsync<EngineRefusalException>(
            () => engine.CreateNetworkAsync(spec with { Name = name + "-2" }));
        Assert.That(taken!.IsAddressOverlap, taken.Message);
        Assert.That((await Assert.ThrowsAsync<EngineRefusalException>(() => engine.CreateNetworkAsync(spec)))!.IsConflict);
        // podman gives none out of the range, and has no names in a network without a plug-in of its own.
        var address = engine.IsPodman ? "10.231.77.135" : "10.231.77.5";
        var web = await engine.CreateContainerAsync(
            Shell("sleep 60") with { NetworkMode = name, Ipv4Address = address, NetworkAliases = ["web"] });
        await engine.StartContainerAsync(web);
        Assert.That(
            (await engine.InspectContainerAsync(web))!.Addresses,
            Is.EqualTo(new Dictionary<string, string> { [name] = address }));
        var beside = await engine.CreateContainerAsync(Shell("ip addr; nslookup web") with { NetworkMode = "container:" + web });
        await engine.StartContainerAsync(beside);
        await engine.WaitContainerAsync(beside);
        var told = string.Join('\n', (await LinesAsync(beside, new LogOptions())).Select(line => line.Text));
        Assert.That(told, Does.Contain($"inet {address}/24"));
        if (!engine.IsPodman) Assert.That(told, Does.Contain($"Address: {address}"));
        Assert.That((await engine.ListNetworksAsync(new Dictionary<string, string?> { [LocalEngine.Label] = local.Id })).Single(),
            Has.Property(nameof(EngineNetwork.Name))
                .EqualTo(name).And
                .Property(nameof(EngineNetwork.Subnets))
                .EqualTo(new[] { "10.231.77.0/24" }));
        await engine.RemoveContainerAsync(beside);
        await engine.RemoveContainerAsync(web);
        await engine.RemoveNetworkAsync(network);
        await engine.RemoveNetworkAsync(network);
    }

    [Test]
    public async Task Tells_events_of_a_label_from_a_time_on()
    {
        var since = DateTimeOffset.UtcNow.AddSeconds(-1);
        var labels = new Dictionary<string, string>(local.Labels) { ["events"] = local.Id };
        var id = await engine.CreateContainerAsync(Shell("exit 9") with { Labels = labels });
        await engine.StartContainerAsync(id);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var actions = new List<string>();
        await foreach (var happened in engine.EventsAsync($"events={local.Id}", since, limit.Token))
        {
            Assert.That(happened.Id, Is.EqualTo(id));
            Assert.That(happened.Time, Is.GreaterThan(since));
            actions.Add(happened.Action);
            if (happened.Action != "die") continue;
            Assert.That(happened.Attributes["exitCode"], Is.EqualTo("9"));
            break;
        }
        Assert.That(
            actions.Where(action => action != "init"), Is.EqualTo(new[] { "create", "start", "die" }), "podman tells one more");
    }

    [Test]
    public async Task Lists_by_label_and_knows_images_by_reference()
    {
        var id = await RunningAsync();
        var listed = await engine.ListContainersAsync(new Dictionary<string, string?>
        {
            [LocalEngine.Label] = local.Id,
            ["kind"] = null
        });
        Assert.That(listed.Single(container => container.Id == id).Status, Is.EqualTo("running"));
        Assert.That(await engine.InspectImageAsync("localhost/no-such-image:1"), Is.Null);
        var found = (await engine.InspectImageAsync(image))!;
        Assert.That(found.Command, Is.EqualTo(new[] { "/bin/sh" }));
        Assert.That(found.Tags, Does.Contain(image));
        var again = ImageReference.Parse(image).WithTag("again");
        local.Own(again.ToString());
        await engine.TagAsync(image, again);
        Assert.That((await engine.InspectImageAsync(again.ToString()))!.Id, Is.EqualTo(found.Id));
        await engine.RemoveImageAsync(again.ToString());
        Assert.That(await engine.InspectImageAsync(again.ToString()), Is.Null);
    }

    [Test]
    public async Task Says_which_image_is_missing()
    {
        var refusal = await Assert.ThrowsAsync<EngineRefusalException>(
            () => engine.CreateContainerAsync(new ContainerSpec("localhost/no-such-image:1")));
        Assert.That(refusal!.IsAbsent);
        Assert.That(refusal.Message, Does.Contain("localhost/no-such-image:1"));
    }

    [TestCase("localhost:1/nothing:1", ImagePullFailure.Unreachable)]
    [TestCase("registry.example/UPPER", ImagePullFailure.InvalidName)]
    [TestCase("localhost:1/Upper:1", ImagePullFailure.InvalidName)]
    [TestCase("", ImagePullFailure.InvalidName)]
    public async Task Says_why_an_image_cannot_be_pulled(string reference, ImagePullFailure kind)
    {
        var failure = await Assert.ThrowsAsync<ImagePullException>(() => engine.PullAsync(reference));
        Assert.That(failure!.Kind, Is.EqualTo(kind), failure.Message);
        Assert.That(failure.Message, Does.Contain($"\"{reference}\""));
    }

    private ContainerSpec Shell(string script) => new(image) { Entrypoint = ["/bin/sh", "-c", script], Labels = local.Labels };

    private async Task<string> RunningAsync()
    {
        var id = await engine.CreateContainerAsync(
            Shell("sleep 600") with { Labels = new Dictionary<string, string>(local.Labels) { ["kind"] = "running" } });
        await engine.StartContainerAsync(id);
        return id;
    }

    private async Task<List<OutputLine>> LinesAsync(string id, LogOptions options)
    {
        var (output, error) = (new MemoryStream(), new MemoryStream());
        await engine.CopyLogsAsync(id, options, output, error);
        return [.. Lines(output, false), .. Lines(error, true)];

        static IEnumerable<OutputLine> Lines(MemoryStream from, bool isError) => Encoding.UTF8.GetString(from.ToArray())
            .ReplaceLineEndings("\n").TrimEnd('\n').Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => new OutputLine(line, isError));
    }

    private sealed record OutputLine(string Text, bool IsError);
}
