using System.Text.Json.Nodes;
using CiSteps.Hosting;

namespace CiSteps.Clusters.Tests;

[TestFixture]
internal sealed class Watching
{
    private const string Pods = "/api/v1/namespaces/x/pods";
    private FakeApiServer server = null!;
    private Cluster cluster = null!;
    private CancellationTokenSource limit = null!;

    [SetUp]
    public async Task SetUp()
    {
        server = await FakeApiServer.StartAsync();
        cluster = await Cluster.ConnectAsync(server.Kubeconfig, BuildLog.Silent, new ImpatientTime());
        limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
    }

    [TearDown]
    public async Task TearDown()
    {
        limit.Dispose();
        cluster.Dispose();
        await server.DisposeAsync();
    }

    [Test]
    public async Task Names_what_is_there_and_then_what_changes()
    {
        server.Put($"{Pods}/old", "{}");
        await using var changes = cluster.WatchAsync(Pods, null, null, limit.Token).GetAsyncEnumerator();

        await ExpectAsync(changes, ChangeKind.Relisting);
        await ExpectAsync(changes, ChangeKind.Present, "old");
        await ExpectAsync(changes, ChangeKind.Synced);
        var next = changes.MoveNextAsync();
        await UntilWatchedAsync();
        server.Put($"{Pods}/new", "{}");
        Assert.That(await next, Is.True);
        Assert.That((changes.Current.Kind, changes.Current.Item.NameOf()), Is.EqualTo((ChangeKind.Present, "new")));
        server.Remove($"{Pods}/old");
        await ExpectAsync(changes, ChangeKind.Gone, "old");
    }

    [Test]
    public async Task Goes_on_after_a_closed_connection_without_a_new_list()
    {
        await using var changes = cluster.WatchAsync(Pods, null, null, limit.Token).GetAsyncEnumerator();
        await ExpectAsync(changes, ChangeKind.Relisting);
        await ExpectAsync(changes, ChangeKind.Synced);
        var next = changes.MoveNextAsync();
        await UntilWatchedAsync();

        server.DropWatches();
        await UntilWatchedAsync();
        server.Put($"{Pods}/new", "{}");

        Assert.That(await next, Is.True);
        Assert.That(changes.Current.Kind, Is.EqualTo(ChangeKind.Present));
    }

    [Test]
    public async Task Lists_again_when_the_version_is_gone()
    {
        server.Put($"{Pods}/a", "{}");
        await using var changes = cluster.WatchAsync(Pods, null, null, limit.Token).GetAsyncEnumerator();
        await ExpectAsync(changes, ChangeKind.Relisting);
        await ExpectAsync(changes, ChangeKind.Present, "a");
        await ExpectAsync(changes, ChangeKind.Synced);
        var next = changes.MoveNextAsync();
        await UntilWatchedAsync();

        server.Shout(Pods, "ERROR", new JsonObject { ["kind"] = "Status", ["code"] = 410, ["reason"] = "Expired" });

        Assert.That(await next, Is.True);
        Assert.That(changes.Current.Kind, Is.EqualTo(ChangeKind.Relisting));
        await ExpectAsync(changes, ChangeKind.Present, "a");
        await ExpectAsync(changes, ChangeKind.Synced);
    }

    [Test]
    public async Task Takes_a_refused_version_as_a_reason_to_list_again()
    {
        var refused = 0;
        server.Answer = request => request.Query["watch"] == "true" && refused++ == 0
            ? (410, FakeApiServer.Status(410, "Expired", "too old"))
            : null;
        await using var changes = cluster.WatchAsync(Pods, null, null, limit.Token).GetAsyncEnumerator();

        await ExpectAsync(changes, ChangeKind.Relisting);
        await ExpectAsync(changes, ChangeKind.Synced);
        await ExpectAsync(changes, ChangeKind.Relisting);
        await ExpectAsync(changes, ChangeKind.Synced);
    }

    [Test]
    public async Task Ends_with_a_reason_when_the_right_is_taken_away()
    {
        server.Answer = request => request.Query["watch"] == "true"
            ? (401, FakeApiServer.Status(401, "Unauthorized", "Unauthorized"))
            : null;

        var failure = await Assert.ThrowsAsync<UnavailableException>(async () =>
        {
            await foreach (var _ in cluster.WatchAsync(Pods, null, null, limit.Token))
            {
            }
        });

        Assert.That(failure!.Reason, Is.EqualTo("cluster-unauthorized"));
    }

    private static async Task ExpectAsync(IAsyncEnumerator<Change> changes, ChangeKind kind, string? name = null)
    {
        Assert.That(await changes.MoveNextAsync(), Is.True);
        Assert.That(changes.Current.Kind, Is.EqualTo(kind));
        if (name is not null) Assert.That(changes.Current.Item.NameOf(), Is.EqualTo(name));
    }

    private Task UntilWatchedAsync() => server.WatchedAsync(Pods);
}
