namespace CiSteps.Repositories.Tests;

public sealed class Addresses
{
    [TestCase("/srv/git/x.git", true)]
    [TestCase("file:///srv/git/x.git", true)]
    [TestCase("../x.git", true)]
    [TestCase("./a:b", true)]
    [TestCase("C:\\git\\x.git", true)]
    [TestCase("C:/git/x.git", true)]
    [TestCase("git@example.org:x.git", false)]
    [TestCase("host:x.git", false)]
    [TestCase("https://example.org/x.git", false)]
    [TestCase("ssh://example.org/x.git", false)]
    public void Come_from_this_machines_disk(string url, bool isLocal) =>
        Assert.That(OriginRemote.IsLocal(url), Is.EqualTo(isLocal));
}
