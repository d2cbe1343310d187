using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Merge.Tests;

/// <summary>While the target's newest release chain is red, nothing but its mending lands.</summary>
public sealed class A_red_target
{
    private Chain chain = null!;
    private GitClone clone = null!;

    [SetUp]
    public async Task Recorded()
    {
        chain = new Chain();
        clone = chain.Branch("ci/x", "app/a", "changed\n");
        await Chain.Passed(clone);
        await RecordAsync(chain.Start, isGreen: false);
    }

    [TearDown]
    public void Removed() => chain.Dispose();

    private async Task<string> RecordAsync(string commit, bool isGreen)
    {
        using var repository = WorkRepository.Open(clone.Folder);
        return await ReleaseMark.WriteAsync(
            new OriginRemote(repository, null, TimeProvider.System, BuildLog.Silent),
            repository,
            "main",
            commit,
            isGreen,
            default);
    }

    private string Red => chain.Git.Git("for-each-ref", "--format=%(objectname)", "refs/ci-steps");

    [Test]
    public async Task Takes_nothing_else()
    {
        (await Chain.Merge(clone)).Was(ExitCode.Refused, "merge.target-red", chain.Start[..12], $"Mends-release: " +
            $"{chain.Start[..12]}");
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
        (await Chain.Merge(clone, "--when-red", "merge")).Was(ExitCode.Done);
    }

    [Test]
    public async Task Takes_what_says_that_it_mends_this_very_one([Values] bool isThis)
    {
        clone.Commit("app/a", "mended\n", $"Mend it\n\nMends-release: {(isThis ? chain.Start : clone.Head)[..7]}");
        clone.Commit("app/a", "mended well\n");
        clone.Push();
        await Chain.Passed(clone);
        var ended = await Chain.Merge(clone);
        if (isThis) ended.Was(ExitCode.Done, "says that it mends it");
        else ended.Was(ExitCode.Refused, "merge.target-red");
    }

    [Test]
    public async Task Is_green_again_when_a_chain_that_follows_is_and_takes_everything()
    {
        var older = chain.Start;
        var newer = chain.MoveMain("other/o", "2");
        clone.Git("fetch", "--quiet", "origin", "main");
        Assert.That((await RecordAsync(newer, isGreen: false), Red), Is.EqualTo(($"recorded \"main\" as red at " +
            $"{newer[..12]}", newer)));
        Assert.That((await RecordAsync(older, isGreen: true), Red), Is.EqualTo(
            ($"\"main\" stays recorded as red at {newer[..12]}, which this chain says nothing of", newer)), "an older " +
                "chain ends late");
        Assert.That((await RecordAsync(newer, isGreen: true), Red), Is.EqualTo(("\"main\" is not recorded as red any more", "")));
        Assert.That((await RecordAsync(newer, isGreen: true), Red), Is.EqualTo(("\"main\" is not recorded as red", "")));
        (await Chain.Merge(clone)).Was(ExitCode.Done);
    }

    [Test]
    public void That_cannot_be_recorded_is_said()
    {
        chain.Git.Hook("update", "case \"$1\" in refs/ci-steps/*) echo 'not here' >&2; exit 1;; esac");
        Assert.That(async () => await RecordAsync(chain.Start, isGreen: true),
            Throws.TypeOf<UnavailableException>().With.Message.Contains("not here"));
    }
}
