using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Repositories.Tests;

public sealed class OriginAddresses
{
    [TestCase("foo://bar", "\"foo://bar\"")]
    [TestCase("s3://bucket/x", "\"s3://bucket/x\"")]
    [TestCase("rsync://host/x", "scheme is not supported")]
    [TestCase("ftp://somebody:secret@host/x", "\"ftp://host/x\"")]
    [TestCase("", "empty address")]
    public void Of_no_known_kind_are_refused_before_anything_is_asked(string url, string says)
    {
        using var git = new GitRepositories();
        var clone = git.Clone();
        clone.Commit("a", "1");
        clone.Git("config", "remote.origin.url", url);
        using var repository = WorkRepository.Open(clone.Folder);

        Assert.That(() => new OriginRemote(repository, null, TimeProvider.System, BuildLog.Silent),
            Throws.TypeOf<UsageException>().With.Message.Contains(says).And.Message.Contains("git remote set-url"));
        Assert.That(() => repository.OriginUrl, Throws.TypeOf<UsageException>());
    }

    [TestCase("https://example.org/x.git")]
    [TestCase("HTTP://example.org/x.git")]
    [TestCase("ssh://git@example.org/x.git")]
    [TestCase("git://example.org/x.git")]
    [TestCase("file:///srv/x.git")]
    [TestCase("git@example.org:x.git")]
    [TestCase("../x.git")]
    [TestCase("/srv/a://b.git")]
    public void Of_a_known_kind_are_taken(string url) => Assert.That(OriginRemote.HasKnownScheme(url), Is.True);
}
