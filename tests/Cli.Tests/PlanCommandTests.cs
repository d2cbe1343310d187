using CiSteps.Fixtures;
using static CiSteps.Cli.Tests.ProgramCall;

namespace CiSteps.Cli.Tests;

/// <summary><c>ci-steps plan</c> as a person or a script calls it.</summary>
public sealed class Planning_from_the_command_line
{
    [Test]
    public async Task A_plan_shows_order_limits_reuse_and_who_stops_whom()
    {
        const string reuse =
            "      <depend-on sourceBuildTypeId=\"Toy_A\">\n        <options>\n          <option " +
            "name=\"take-started-build-with-same-revisions\" value=\"true\" />\n        </options>\n      </depend-on>\n";
        using var toy = new ToyTree()
            .Root("x")
            .Build("Toy_A",
                "    <options>\n      <option name=\"maximumNumberOfBuilds\" value=\"1\" />\n    </options>\n" + ToyTree.Vcs)
            .Build("Toy_B", ToyTree.Dependencies(reuse))
            .Build("Toy_C",
                "    <build-extensions>\n      <extension id=\"BUILD_EXT_1\" type=\"approval-feature\">\n        <parameters " +
                "/>\n      </extension>\n    </build-extensions>\n" +
                    ToyTree.Dependencies(reuse))
            .Build("Toy_D",
                ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_B", "RUN_ADD_PROBLEM", "CANCEL"), ToyTree.After("Toy_C")));
        Assert.That(await RunAsync("plan", "--build", "Toy_D", "--branch", "ci/x", toy.Folder), Is.EqualTo((0, """
            branch ci/x; 4 builds, asked for: Toy_D
              1. Toy_A (at most 1 at a time)
              2. Toy_B
                   after Toy_A: if that fails or does not start: fails to start; may reuse a suitable build
              2. Toy_C (waits for an approval)
                   after Toy_A: if that fails or does not start: fails to start; may reuse a suitable build
              3. Toy_D
                   after Toy_B: if that fails: runs, with a problem; if it does not start: is cancelled; always builds it anew
                   after Toy_C: if that fails or does not start: fails to start; always builds it anew

            """, "")));
    }

    [Test]
    public async Task A_plan_says_where_one_dependency_forbids_what_another_allows()
    {
        const string reuse =
            "      <depend-on sourceBuildTypeId=\"Toy_A\">\n        <options>\n          <option " +
            "name=\"take-started-build-with-same-revisions\" value=\"true\" />\n        </options>\n      </depend-on>\n";
        using var toy = new ToyTree()
            .Build("Toy_A", "")
            .Build("Toy_B", ToyTree.Dependencies(reuse))
            .Build("Toy_C", ToyTree.Dependencies(ToyTree.After("Toy_A")));
        Assert.That((await RunAsync("plan", "--build", "Toy_B", toy.Folder)).Output, Does.Contain("has it built anew"));
    }

    [Test]
    public async Task A_plan_is_made_of_what_is_there()
    {
        using var toy = new ToyTree()
            .Write("Toy/buildTypes/Toy_Bad.xml", "<build-type>")
            .Build("Toy_A", "", "Elsewhere_T")
            .Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A"), ToyTree.After("Elsewhere_C")));
        var (exit, output, error) = await RunAsync("plan", "--build", "Toy_B", toy.Folder);
        Assert.That(exit, Is.Zero);
        Assert.That(output, Does.Contain("2 builds").And.Contain("after Elsewhere_C"));
        Assert.That(
            error,
            Does.Contain("1 file of the settings is broken").And
                .Contain("template \"Elsewhere_T\", which is not in").And
                .Contain("depends on \"Elsewhere_C\", which is not in"));
    }

    [Test]
    public async Task A_plan_shows_what_a_dependency_asks_for_beyond_order()
    {
        using var toy = new ToyTree()
            .Build("Toy_A", "")
            .Build(
                "Toy_B",
                ToyTree.Dependencies(
                    "      <depend-on sourceBuildTypeId=\"Toy_A\">\n        <options>\n          <option " +
                    "name=\"run-build-on-the-same-agent\" value=\"true\" />\n" +
                    "          <option name=\"sync-revisions\" value=\"false\" />\n          <option " +
                    "name=\"take-started-build-with-same-revisions\" value=\"true\" />\n          <option " +
                    "name=\"take-successful-builds-only\" value=\"true\" />\n        </options>\n      </depend-on>\n"));
        Assert.That(
            (await RunAsync("plan", "--build", "Toy_B", toy.Folder)).Output,
            Does.Contain(
                "fails to start; may reuse a suitable successful build; on the same agent; not bound to the same revisions"));
    }

    [Test]
    public async Task A_plan_names_the_shared_resources_that_a_build_waits_for()
    {
        using var toy = new ToyTree().Build(
            "Toy_A",
            "    <build-extensions>\n      <extension id=\"BUILD_EXT_1\" type=\"JetBrains.SharedResources\">\n        " +
            "<parameters>\n          <param name=\"locks-param\"><![CDATA[testbed writeLock\nlicence readLock]]></param>\n" +
                "        </parameters>\n      </extension>\n    </build-extensions>\n");
        Assert.That(
            (await RunAsync("plan", "--build", "Toy_A", toy.Folder)).Output,
            Does.Contain(
                "1. Toy_A (waits for the shared resource testbed writeLock; waits for the shared resource licence readLock)"));
    }

    // Two services in one tree, each with a trigger of its own.
    [TestCase(null, "asked for: Toy_One_A, Toy_Two_A")]
    [TestCase("Toy", "asked for: Toy_One_A, Toy_Two_A")]
    [TestCase("Toy_Two", "asked for: Toy_Two_A")]
    public async Task A_plan_can_be_of_one_project(string? project, string expected)
    {
        using var toy = new ToyTree()
            .Root("x")
            .Project("Toy_One", "Toy")
            .Project("Toy_Two", "Toy")
            .Build("Toy_One_A", ToyTree.Vcs + ToyTree.Trigger(), project: "Toy_One")
            .Build("Toy_Two_A", ToyTree.Vcs + ToyTree.Trigger(), project: "Toy_Two");
        var (exit, output, _) = await RunAsync([
            "plan",
            "--branch",
            "ci/x",
            .. project is null ? Array.Empty<string>() : ["--project", project],
            toy.Folder
        ]);
        Assert.That((exit, output.Split('\n')[0].Split("; ")[1].Split(", ", 2)[1]), Is.EqualTo((0, expected)));
        Assert.That(
            (await RunAsync("plan", "--project", "Toy_Three", toy.Folder)).Error,
            Does.Contain("there is no project \"Toy_Three\""));
        Assert.That((await RunAsync("plan", "--project", "Toy_Two", "--build", "Toy_One_A", toy.Folder)).Exit, Is.EqualTo(2));
    }

    [Test]
    public async Task A_member_whose_root_does_not_admit_the_branch_builds_its_default_one()
    {
        using var toy = new ToyTree()
            .Root("x")
            .Root("y", "Toy_Narrow", "+:refs/heads/(release/*)")
            .Root("z", "Toy_Firm", "#! fallbackToDefault: false\n+:refs/heads/(release/*)")
            .Root("v", "Toy_Part", "+:refs/heads/ci/*")
            .Build("Toy_A", Vcs("Toy_Narrow"))
                .Build("Toy_B", Vcs("Toy_Firm"))
                .Build("Toy_C", Vcs("Toy_Part"))
                .Build("Toy_D",
                    "    <options>\n      <option name=\"branchFilter\" value=\"+:&lt;default&gt;\" />\n    </options>\n" +
                        ToyTree.Vcs)
            .Build("Toy_E", "")
                .Build("Toy_F", Vcs("Toy_Narrow", "Toy_Root"))
                .Build("Toy_Z", ToyTree.Vcs + ToyTree.Dependencies([.. "ABCDEF".Select(name => ToyTree.After("Toy_" + name))]));
        var (_, output, _) = await RunAsync("plan", "--build", "Toy_Z", "--branch", "ci/x", toy.Folder);
        Assert.That(output.Split('\n').Where(line => line.StartsWith("  1.", StringComparison.Ordinal)), Is.EqualTo(new[]
        {
            "  1. Toy_A (builds its default branch, as its VCS root does not admit ci/x)",
            "  1. Toy_B (cannot be built: its VCS root does not admit ci/x and forbids the default branch in its place)",
            // refs/heads/ci/x is called x there: another logical name is another branch.
            "  1. Toy_C (builds refs/heads/ci/ci/x, or its default branch where there is none)",
            "  1. Toy_D (its branch filter is +:<default>)",
            "  1. Toy_E",
            "  1. Toy_F",
        }));
        Assert.That((await RunAsync("plan", "--build", "Toy_Z", toy.Folder)).Output, Does.Not.Contain("admit"));

        static string Vcs(params string[] roots) =>
            $"    <vcs-settings>\n{string.Concat(roots.Select(root => $"      <vcs-entry-ref root-id=\"{root}\" />\n"))}    " +
            "</vcs-settings>\n";
    }

    [Test]
    public async Task Any_root_of_a_configuration_can_bring_the_branch()
    {
        using var toy = new ToyTree()
            .Root("x", "Toy_Tags", "+:refs/tags/*")
            .Root("y")
            .Build("Toy_A",
                "    <vcs-settings>\n      <vcs-entry-ref root-id=\"Toy_Tags\" />\n      " +
                "<vcs-entry-ref root-id=\"Toy_Root\" />\n    </vcs-settings>\n" +
                ToyTree.Trigger());
        Assert.That((await RunAsync("plan", "--branch", "ci/x", toy.Folder)).Output, Does.StartWith("branch ci/x; 1 build"));
    }

    [Test]
    public async Task A_trigger_sees_its_own_roots_and_those_before_it_only_where_it_watches_them()
    {
        const string watching =
            "    <build-triggers>\n      <build-trigger id=\"vcsTrigger\" type=\"vcsTrigger\">\n        <parameters>\n         " +
            " <param name=\"watchChangesInDependencies\" value=\"true\" />\n        </parameters>\n      </build-trigger>\n    " +
            "</build-triggers>\n";
        using var toy = new ToyTree()
            .Root("x")
            .Build("Toy_A", ToyTree.Vcs)
            .Build("Toy_B", ToyTree.Trigger() + ToyTree.Dependencies(ToyTree.After("Toy_A")))
            .Build("Toy_C", watching + ToyTree.Dependencies(ToyTree.After("Toy_A")));
        Assert.That(
            (await RunAsync("plan", "--branch", "ci/x", toy.Folder)).Output,
            Does.StartWith("branch ci/x; 2 builds, asked for: Toy_C\n"));
        Assert.That(
            (await RunAsync("plan", "--branch", "wip/x", toy.Folder)).Error,
            Does.Contain(
                "Toy_B (its trigger watches no VCS root), Toy_C (its VCS root's branch specification does not admit it)"));
    }

    [Test]
    public async Task Parameters_in_filters_and_branch_specifications_are_filled_in()
    {
        const string parameters =
            "    <parameters>\n      <param name=\"spec\" value=\"+:refs/heads/*\" />\n      <param name=\"taken\" " +
            "value=\"ci/*\" />\n    </parameters>\n";
        using var toy = new ToyTree()
            .Root("x", spec: "%spec%")
            .Build("Toy_A", parameters + ToyTree.Vcs + ToyTree.Trigger("+:%taken%"));
        Assert.That((await RunAsync("plan", "--branch", "ci/x", toy.Folder)).Output, Does.Contain("asked for: Toy_A"));
        Assert.That(
            (await RunAsync("plan", "--branch", "wip/x", toy.Folder)).Error, Does.Contain("Toy_A (trigger takes +:ci/*)"));
    }

    [Test]
    public async Task What_a_root_elsewhere_admits_is_left_open()
    {
        using var toy = new ToyTree().Build("Toy_A",
            "    <vcs-settings>\n      <vcs-entry-ref root-id=\"Elsewhere_Root\" />\n    </vcs-settings>\n" + ToyTree.Trigger());
        var (exit, output, error) = await RunAsync("plan", "--branch", "ci/x", toy.Folder);
        Assert.That((exit, output), Is.EqualTo((0, "branch ci/x; 1 build, asked for: Toy_A\n  1. Toy_A\n")));
        Assert.That(error, Does.Contain("\"Toy_A\" has the VCS root \"Elsewhere_Root\", which is not in"));
    }

    [Test]
    public async Task Another_repositorys_branch_of_that_name_is_a_plan_of_its_own()
    {
        using var toy = new ToyTree().Root("x").Root("y", "Toy_Plain", "").Build("Toy_A", ToyTree.Vcs + ToyTree.Trigger("+:*"))
            .Build("Toy_B",
                "    <vcs-settings>\n      <vcs-entry-ref root-id=\"Toy_Plain\" />\n    </vcs-settings>\n" +
                    ToyTree.Trigger("+:<default>"));
        var (exit, output, error) = await RunAsync("plan", toy.Folder);
        Assert.That((exit, output), Is.EqualTo((0, "branch main (default); 1 build, asked for: Toy_A\n  1. Toy_A\n")));
        Assert.That(error, Does.Contain("a plan of their own (--project or --build): Toy_B"));
    }

    [Test]
    public async Task A_template_s_dependency_is_overridden_by_one_on_the_same_configuration_and_a_diamond_is_built_once()
    {
        using var toy = new ToyTree()
            .Root("x")
            .Template("Toy_T", ToyTree.Dependencies(ToyTree.After("Toy_A", "RUN", "RUN")))
            .Build("Toy_A", "")
            .Build("Toy_B", "", "Toy_T")
                .Build(
                    "Toy_C",
                    ToyTree.Dependencies(ToyTree.After("Toy_A", "CANCEL", "CANCEL")),
                    "Toy_T",
                    attributes: " paused=\"true\"")
            .Build("Toy_D",
                "    <options>\n      <option name=\"buildConfigurationType\" value=\"COMPOSITE\" />\n    </options>\n" +
                    ToyTree.Dependencies(ToyTree.After("Toy_B", "RUN_ADD_PROBLEM", "RUN_ADD_PROBLEM"),
                        "      <depend-on sourceBuildTypeId=\"Toy_C\" />\n"));
        Assert.That((await RunAsync("plan", "--build", "Toy_D", toy.Folder)).Output, Is.EqualTo("""
            branch <default> (default); 4 builds, asked for: Toy_D
              1. Toy_A
              2. Toy_B
                   after Toy_A: if that fails or does not start: runs all the same; always builds it anew
              2. Toy_C
                   after Toy_A: if that fails or does not start: is cancelled; always builds it anew
              3. Toy_D (composite, no agent)
                   after Toy_B: if that fails or does not start: runs, with a problem; always builds it anew
                   after Toy_C: if that fails or does not start: fails to start; always builds it anew

            """));
    }
}
