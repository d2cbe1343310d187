using CiSteps.TeamCity.Branches;

namespace CiSteps.TeamCity.Tests;

public sealed class A_branch_specification
{
    [TestCase("+:refs/heads/*", "refs/heads/ci/x", "ci/x")]
    [TestCase("+:refs/heads/(ci/*)", "refs/heads/ci/x", "ci/x")]
    [TestCase("+:refs/heads/ci/*", "refs/heads/ci/x", "x")]
    [TestCase("+:refs/heads/ci/*", "refs/heads/other", null)]
    [TestCase("+:refs/heads/ci/*", "refs/heads/ci/", null, Description = "a star stands for one character at least")]
    [TestCase("+:refs/heads/*\n-:refs/heads/ci/*", "refs/heads/ci/x", null)]
    [TestCase(
        "-:refs/heads/ci/*\n+:refs/heads/*",
        "refs/heads/ci/x",
        null,
        Description = "the star that stands for the least decides, wherever it stands")]
    [TestCase("+:refs/heads/ci/*\n-:refs/heads/*", "refs/heads/ci/x", "x")]
    [TestCase("+:refs/heads/*/hotfix\n-:refs/heads/v1/*", "refs/heads/v1/hotfix", "v1")]
    [TestCase("+:refs/heads/*\n-:refs/heads/*", "refs/heads/ci/x", null, Description = "among equals the last decides")]
    [TestCase(
        "+:refs/heads/release-\\(7.1\\)",
        "refs/heads/release-(7.1)",
        "refs/heads/release-(7.1)",
        Description = "a bracket of the name is escaped")]
    [TestCase("#! escape: !\n+:refs/heads/(release-!(*!))", "refs/heads/release-(7.1)", "release-(7.1)")]
    [TestCase("-:refs/heads/ci/x\n+:refs/heads/*", "refs/heads/ci/x", null, Description = "an exact rule beats a pattern")]
    [TestCase("+:refs/heads/*\n+:refs/heads/ci/*", "refs/heads/ci/x", "x", Description = "the shortest name stands")]
    [TestCase("+:refs/heads/(release/*/final)", "refs/heads/release/7/final", "release/7/final")]
    [TestCase("+:refs/heads/release/(*)/final", "refs/heads/release/7/final", "7")]
    [TestCase("# a comment\n+:refs/heads/*", "refs/heads/main", "main")]
    [TestCase("", "refs/heads/main", "<default>", Description = "the default branch is always in")]
    [TestCase("", "refs/heads/x", null)]
    public void Names_branches(string spec, string full, string? name) =>
        Assert.That(new BranchSpec("refs/heads/main", spec).LogicalName(full), Is.EqualTo(name));

    [TestCase("+:refs/heads/(ci/*)", "ci/x", "refs/heads/ci/x")]
    [TestCase("+:refs/heads/ci/*", "x", "refs/heads/ci/x")]
    [TestCase("+:refs/heads/release/(*)/final", "7", "refs/heads/release/7/final")]
    [TestCase("+:refs/pull/(*)/head", "7", "refs/pull/7/head")]
    [TestCase("+:refs/tags/(v*)-rc", "v7", "refs/tags/v7-rc")]
    [TestCase("+:refs/tags/(stable)", "stable", "refs/tags/stable")]
    [TestCase("", "<default>", "refs/heads/main")]
    [TestCase("+:refs/heads/ci/*", "ci/x", "refs/heads/ci/ci/x", Description = "another branch than ci/x")]
    [TestCase("+:refs/heads/(ci/*)", "other", null)]
    public void Finds_the_branch_of_a_logical_name(string spec, string name, string? full) =>
        Assert.That(new BranchSpec("refs/heads/main", spec).FullName(name), Is.EqualTo(full));

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
    [TestCase("+:name*", "name", false, false, Description = "a star stands for one character at least")]
    [TestCase("+:name*", "name1", false, true)]
    [TestCase("+:a*b*c", "axbc", false, false)]
    [TestCase(
        "+:*\n-pr:*\n+pr: draft=false github_role=MEMBER",
        "ci/x",
        false,
        true,
        Description = "rules about pull requests say nothing to a branch")]
    [TestCase("+pr:target=main", "main", true, false)]
    public void Takes_branches_by_their_logical_names(string? filter, string name, bool isDefault, bool taken) =>
        Assert.That(new BranchFilter(filter).Takes(name, isDefault), Is.EqualTo(taken));
}
