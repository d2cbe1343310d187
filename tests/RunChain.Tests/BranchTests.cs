using CiSteps.RunChain.Branches;

namespace CiSteps.RunChain.Tests;

public sealed class A_branch_specification
{
    [TestCase("+:refs/heads/*", "refs/heads/ci/x", "ci/x")]
    [TestCase("+:refs/heads/(ci/*)", "refs/heads/ci/x", "ci/x")]
    [TestCase("+:refs/heads/ci/*", "refs/heads/ci/x", "x")]
    [TestCase("+:refs/heads/ci/*", "refs/heads/other", null)]
    [TestCase("+:refs/heads/ci/*", "refs/heads/ci/", null, Description = "a star stands for one character at least")]
    [TestCase("+:refs/heads/*\n-:refs/heads/ci/*", "refs/heads/ci/x", null)]
    [TestCase("-:refs/heads/ci/*\n+:refs/heads/*", "refs/heads/ci/x", "ci/x")]
    [TestCase("-:refs/heads/ci/x\n+:refs/heads/*", "refs/heads/ci/x", null, Description = "an exact rule beats a pattern")]
    [TestCase("+:refs/heads/*\n+:refs/heads/ci/*", "refs/heads/ci/x", "x", Description = "the shortest name stands")]
    [TestCase("+:refs/heads/(release/*/final)", "refs/heads/release/7/final", "release/7/final")]
    [TestCase("+:refs/heads/release/(*)/final", "refs/heads/release/7/final", "7")]
    [TestCase("# a comment\n+:refs/heads/*", "refs/heads/main", "main")]
    [TestCase("", "refs/heads/main", "<default>", Description = "the default branch is always in")]
    [TestCase("", "refs/heads/x", null)]
    public void Names_branches(string spec, string full, string? name) => Assert.That(new BranchSpec("refs/heads/main", spec).LogicalName(full), Is.EqualTo(name));

    [Test]
    public void Says_whether_a_chain_falls_back_to_the_default_branch()
    {
        Assert.That(new BranchSpec("main", "+:refs/heads/*").FallsBackToDefault, Is.True);
        Assert.That(new BranchSpec("main", "#! fallbackToDefault: false\n+:refs/heads/*").FallsBackToDefault, Is.False);
    }
}

public sealed class A_branch_filter
{
    [TestCase(null, "ci/x", false, true)]
    [TestCase("+:ci/*", "ci/x", false, true)]
    [TestCase("+:ci/*", "main", true, false)]
    [TestCase("ci/*", "ci/x", false, true, Description = "a rule without a sign takes")]
    [TestCase("+:*\n-:<default>", "ci/x", false, true)]
    [TestCase("+:*\n-:<default>", "main", true, false)]
    [TestCase("-:<default>\n+:*", "main", true, false, Description = "the more specific rule decides, wherever it stands")]
    [TestCase("+:<default>", "main", true, true)]
    [TestCase("+:<default>", "ci/x", false, false)]
    [TestCase("+:ci/*\n-:ci/wip/*", "ci/wip/x", false, false)]
    [TestCase("-:ci/*\n+:ci/*", "ci/x", false, true, Description = "among equals the last decides")]
    [TestCase("+:main", "main", true, true)]
    public void Takes_branches_by_their_logical_names(string? filter, string name, bool isDefault, bool taken) =>
        Assert.That(new BranchFilter(filter).Takes(name, isDefault), Is.EqualTo(taken));
}
