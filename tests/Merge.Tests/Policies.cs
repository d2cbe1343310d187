using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Merge.Tests;

/// <summary>How a change lands, under which message, and who signs it.</summary>
public sealed class What_lands
{
    private Chain chain = null!;
    private GitClone clone = null!;

    [SetUp]
    public async Task A_tested_branch()
    {
        chain = new Chain();
        clone = chain.Branch("ci/x", "app/a", "changed\n");
        clone.Git("-c", "user.name=Grace", "-c", "user.email=grace@example.org", "commit", "--quiet", "--allow-empty",
            "--author=Grace <grace@example.org>", "--message", "Say it better\n\nBecause of reasons.\n");
        clone.Push();
        await Chain.Passed(clone);
    }

    [TearDown]
    public void Removed() => chain.Dispose();

    [Test]
    public async Task Is_the_tested_commit_itself_when_only_that_may()
    {
        (await Chain.Merge(clone, "--method", "ff-only")).Was(ExitCode.Done);
        Assert.That((chain.Main, Chain.HandOver(clone)!.Merged), Is.EqualTo((clone.Head, clone.Head)));
    }

    [Test]
    public async Task Is_nothing_when_only_a_fast_forward_may_and_the_target_has_moved()
    {
        var moved = chain.MoveMain("other/o", "moved");
        (await Chain.Merge(clone, "--method", "ff-only", "--when-moved", "merge")).Was(ExitCode.Refused, "merge.moved",
            "only a fast-forward may land");
        Assert.That(chain.Main, Is.EqualTo(moved));
    }

    [Test]
    public async Task Is_one_commit_with_all_authors_and_lands_once()
    {
        var moved = chain.MoveMain("other/o", "moved");
        (await Chain.Merge(clone, "--method", "squash")).Was(ExitCode.Done);
        Assert.Multiple(() =>
        {
            Assert.That(chain.Git.Git("log", "-1", "--format=%P|%an <%ae>|%cn|%B", "main"), Is.EqualTo($"""
                {moved}|Grace <grace@example.org>|CiSteps|Say it better

                Because of reasons.

                Tested-by: chain 17-{clone.Head[..12]} (unit-test 12 passed, smoke 3 passed)
                Co-authored-by: Ada <ada@example.org>
                Tested-commit: {clone.Head}
                """.ReplaceLineEndings("\n")));
            Assert.That(chain.Git.Git("show", "main:app/a"), Is.EqualTo("changed"));
        });
        var landed = Chain.HandOver(clone);
        chain.MoveMain("other/p", "moved");
        (await Chain.Merge(clone, "--method", "squash")).Was(ExitCode.Done, "is in \"main\" already, nothing to do");
        Assert.That(Chain.HandOver(clone), Is.EqualTo(landed));
    }

    [Test]
    public async Task Says_what_its_template_says()
    {
        (await Chain.Merge(clone, "--message", "[{branch} -> {target}] {subject}\\n\\n{authors}; {tests}; {chain}; " +
            "{build}", "--author",
            "change")).Was(ExitCode.Done);
        Assert.That(chain.Git.Git("log", "-1", "--format=%an|%B", "main"), Is.EqualTo($"""
            Grace|[ci/x -> main] Say it better

            Ada <ada@example.org>, Grace <grace@example.org>; unit-test 12 passed, smoke 3 passed; 17-{clone.Head[..12]}; 17

            Tested-commit: {clone.Head}
            """.ReplaceLineEndings("\n")));
    }

    [TestCase("--message", "{tets}", "there is nothing called \"{tets}\"")]
    [TestCase("--method", "rebase", "give merge, ff-only or squash")]
    [TestCase("--sign", "x509", "give ssh or gpg")]
    [TestCase("--sign", "ssh", "are given together")]
    [TestCase("--author", "nobody", "give committer or change")]
    public async Task Is_nothing_when_a_setting_is_wrong(string name, string value, string says)
    {
        (await Chain.Merge(clone, name, value)).Was(ExitCode.Usage, says);
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
    }

    [TestCase("merge")]
    [TestCase("squash")]
    public async Task Is_signed_with_an_ssh_key(string method)
    {
        var key = Path.Combine(chain.Git.Folder, "key");
        GitRepositories.Run(chain.Git.Folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key);
        var signers = Path.Combine(chain.Git.Folder, "signers");
        File.WriteAllText(signers, "robot@example.org " + File.ReadAllText(key + ".pub"));
        (await Chain.Merge(clone, "--method", method, "--sign", "ssh", "--signing-key", key)).Was(ExitCode.Done);
        Assert.That(
            () => chain.Git.Git("-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile=" + signers, "verify-commit", "main"),
            Throws.Nothing);
        Assert.That(chain.Git.Git("fsck", "--no-dangling"), Is.Empty);
    }

    [Test]
    public async Task Is_signed_with_a_gpg_key()
    {
        // The agent's socket has to be short.
        using var home = new TestFolder();
        File.SetUnixFileMode(home.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        GitRepositories.Run(
            home.Path,
            "gpg",
            "--homedir",
            home.Path,
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            "robot@example.org",
            "ed25519",
            "sign");
        var before = Environment.GetEnvironmentVariable("GNUPGHOME");
        Environment.SetEnvironmentVariable("GNUPGHOME", home.Path);
        try
        {
            (await Chain.Merge(clone, "--sign", "gpg", "--signing-key", "robot@example.org")).Was(ExitCode.Done);
            Assert.That(() => chain.Git.Git("verify-commit", "main"), Throws.Nothing);
        }
        finally
        {
            Environment.SetEnvironmentVariable("GNUPGHOME", before);
            GitRepositories.Run(home.Path, "gpgconf", "--homedir", home.Path, "--kill", "all");
        }
    }

    [Test]
    public async Task Is_nothing_when_it_cannot_be_signed_and_not_signed_because_the_clone_says_so()
    {
        (await Chain.Merge(clone, "--sign", "ssh", "--signing-key", "/nowhere/key")).Was(ExitCode.Usage, "cannot be " +
            "signed", "/nowhere/key",
            "nothing was pushed");
        Assert.That(chain.Main, Is.EqualTo(chain.Start));
        clone.Git("config", "commit.gpgSign", "true");
        (await Chain.Merge(clone)).Was(ExitCode.Done);
        Assert.That(chain.Git.Git("cat-file", "commit", "main"), Does.Not.Contain("gpgsig"));
    }
}
