namespace CiSteps.Repositories.Tests;

public sealed class A_servers_words
{
    [TestCase("protected branch hook declined", PushEnd.Protected)]
    [TestCase("GH006: Protected branch update failed for refs/heads/main.", PushEnd.Protected)]
    [TestCase("GH013: Repository rule violations found", PushEnd.Protected)]
    [TestCase("You are not allowed to push code to protected branches on this project.", PushEnd.Protected)]
    [TestCase("[rejected] (fetch first)", PushEnd.Moved)]
    [TestCase("[rejected] (non-fast-forward)", PushEnd.Moved)]
    [TestCase("[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)", PushEnd.Moved)]
    [TestCase("failed to update ref", PushEnd.Moved)]
    [TestCase("pre-receive hook declined", PushEnd.Hook)]
    [TestCase("hook declined", PushEnd.Hook)]
    [TestCase("permission denied", PushEnd.Authentication)]
    [TestCase("shallow update not allowed", PushEnd.Refused)]
    public void Are_understood(string said, PushEnd end) => Assert.That(OriginRemote.Classify(said), Is.EqualTo(end));

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
    public void Come_from_this_machines_disk(string url, bool isLocal) => Assert.That(OriginRemote.IsLocal(url), Is.EqualTo(isLocal));
}
