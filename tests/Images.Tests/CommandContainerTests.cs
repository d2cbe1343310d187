using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

[Category("NeedsDocker")]
public sealed class CommandContainerTests
{
    private LocalEngine local = null!;
    private CommandContainer container = null!;
    private string image = "";
    private TestFolder folder = null!;

    [OneTimeSetUp]
    public async Task OpenAsync()
    {
        local = await LocalEngine.OpenAsync();
        image = (await local.MakeBaseImageAsync()).ToString();
        container = new CommandContainer(local.Engine, RegistryCredentials.None, BuildLog.Silent);
    }

    [OneTimeTearDown]
    public async Task CloseAsync() => await local.DisposeAsync();

    [SetUp]
    public void MakeFolder() => folder = new TestFolder();

    [TearDown]
    public void RemoveFolder() => folder.Dispose();

    [Test]
    public async Task Sees_the_work_tree_at_its_own_path_and_leaves_files_of_this_user()
    {
        folder.Write("sub/in", "content");
        var lines = new List<string>();
        var result = await container.RunAsync(Command("pwd; cat in; echo; echo made > out; echo $NAME; echo bad >&2; exit 6") with
        {
            Folder = "sub",
            Environment = new Dictionary<string, string> { ["NAME"] = "a b" },
        }, (line, isError) =>
        {
            lock (lines) lines.Add((isError ? "E " : "") + line);
        });
        Assert.That(result.Exit, Is.EqualTo(6));
        Assert.That(lines.Where(line => !line.StartsWith('E')), Is.EqualTo(new[] { folder.Of("sub"), "content", "a b" }));
        Assert.That(lines, Does.Contain("E bad"));
        // Written and removed by the one who runs the test: nothing of root's stays behind where the test is not root.
        File.Delete(folder.Of("sub/out"));
        Assert.That(await MineAsync(), Is.Empty);
    }

    [Test]
    public async Task Ends_everything_in_the_container_when_it_is_cancelled()
    {
        using var stop = new CancellationTokenSource();
        var running = container.RunAsync(Command("trap '' TERM; (sleep 1000 &) ; echo started; sleep 1000"), (line, _) =>
        {
            if (line == "started") stop.Cancel();
        }, cancel: stop.Token);
        await Assert.CatchAsync<OperationCanceledException>(() => running);
        Assert.That(await MineAsync(), Is.Empty);
    }

    [Test]
    public async Task Says_what_cannot_be_started_and_which_image_is_missing()
    {
        var failure = await Assert.ThrowsAsync<UsageException>(
            () => container.RunAsync(Command("") with { Run = ["no-such-program"] }, (_, _) => { }));
        Assert.That(failure!.Message, Does.Contain("no-such-program").And.Contain(image));
        Assert.That(await MineAsync(), Is.Empty);
        await Assert.ThrowsAsync<UnavailableException>(
            () => container.RunAsync(Command("true") with { Image = "localhost:1/nothing:1" }, (_, _) => { }));
    }

    [Test]
    public async Task Lets_the_engine_make_no_folder_of_roots()
    {
        var failure = await Assert.ThrowsAsync<UsageException>(
            () => container.RunAsync(Command("true") with { Folder = "none/deeper" }, (_, _) => { }));
        Assert.That(failure!.Message, Does.Contain("\"none/deeper\"").And.Contain(folder.Path));
        Assert.That(Directory.GetFileSystemEntries(folder.Path), Is.Empty);
    }

    [Test]
    public async Task Removes_what_a_killed_step_left_and_nothing_else()
    {
        async Task<string> MakeAsync(string owner) => await local.Engine.CreateContainerAsync(new ContainerSpec(image)
        {
            Labels = new Dictionary<string, string>(local.Labels) { [EngineLabels.Owner] = owner },
        });
        var dead = await MakeAsync($"{Environment.MachineName}/999999999/20200101000000");
        var reused = await MakeAsync($"{Environment.MachineName}/{Environment.ProcessId}/20200101000000");
        var own = await MakeAsync(EngineLabels.ThisProcess());
        var elsewhere = await MakeAsync("another-machine/1/20200101000000");
        Assert.That(await EngineLabels.SweepAsync(local.Engine, BuildLog.Silent), Is.GreaterThanOrEqualTo(2));
        Assert.That(await MineAsync(), Is.EquivalentTo(new[] { own, elsewhere }));
        Assert.That(new[] { dead, reused }, Has.Length.EqualTo(2));
        await local.Engine.RemoveContainerAsync(own);
        await local.Engine.RemoveContainerAsync(elsewhere);
    }

    private ContainerCommand Command(string script) => new(image, ["sh", "-c", script], folder.Path) { Labels = local.Labels };

    private async Task<IEnumerable<string>> MineAsync() =>
        (await local.Engine.ListContainersAsync(new Dictionary<string, string?>
        {
            [LocalEngine.Label] = local.Id
        })).Select(found => found.Id);
}
