using System.Diagnostics;
using System.Text.Json.Nodes;
using CiSteps.RunChain.Commands;

namespace CiSteps.RunChain.Tests;

/// <summary><c>run-chain check</c> and <c>run-chain plan</c> as a person or a script calls them.</summary>
public sealed class Checking_from_the_command_line
{
    private const string ClearSecret = "    <parameters>\n      <param name=\"p\" value=\"hunter2\" spec=\"password\" />\n    </parameters>";
    private const string Warned = "    <options>\n      <option name=\"noSuchOption\" value=\"1\" />\n    </options>";

    private static async Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments)
    {
        var output = new StringWriter { NewLine = "\n" };
        var error = new StringWriter { NewLine = "\n" };
        var exit = await Hosting.ProgramHost.RunAsync(RunChainProgram.Create(), arguments, output, error, new Dictionary<string, string>());
        return (exit, output.ToString(), error.ToString());
    }

    [Test]
    public async Task A_clean_tree_gives_one_line_and_0()
    {
        using var toy = new ToyTree().Root("x").Build("Toy_A", ToyTree.Vcs);
        Assert.That(await RunAsync("check", toy.Folder), Is.EqualTo((0, "1 projects, 1 configurations and templates, 1 VCS roots, 0 recipes: 0 errors, 0 warnings\n", "")));
    }

    [Test]
    public async Task An_error_gives_file_line_rule_message_and_1()
    {
        using var toy = new ToyTree().Build("Toy_A", ClearSecret);
        var (exit, output, _) = await RunAsync("check", toy.Folder);
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(output, Does.StartWith("Toy/buildTypes/Toy_A.xml:7: clear-secret: the secret \"p\" stands there in clear text"));
    }

    [Test]
    public async Task Warnings_alone_give_0_and_under_strict_1()
    {
        using var toy = new ToyTree().Build("Toy_A", Warned);
        var (exit, output, _) = await RunAsync("check", toy.Folder);
        Assert.That((exit, output.Split('\n')[0]), Is.EqualTo((0, "Toy/buildTypes/Toy_A.xml:7: warning: option: \"noSuchOption\" is not known as build option of \"Toy_A\"")));
        Assert.That((await RunAsync("check", "--strict", toy.Folder)).Exit, Is.EqualTo(1));
    }

    [Test]
    public async Task Json_holds_file_line_rule_severity_and_message()
    {
        using var toy = new ToyTree().Build("Toy_A", ClearSecret).Build("Toy_B", Warned);
        var (exit, output, _) = await RunAsync("check", "--json", toy.Folder);
        var findings = JsonNode.Parse(output)!.AsArray();
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(findings.Select(finding => $"{finding!["file"]} {finding["line"]} {finding["rule"]} {finding["severity"]}"),
            Is.EqualTo(new[] { "Toy/buildTypes/Toy_A.xml 7 clear-secret error", "Toy/buildTypes/Toy_B.xml 7 option warning" }));
        Assert.That((string?)findings[0]!["message"], Does.Contain("\"p\""));
    }

    [Test]
    public async Task No_settings_are_usage_and_2()
    {
        using var toy = new ToyTree();
        Assert.That((await RunAsync("check", Path.Combine(toy.Folder, "nowhere"))).Exit, Is.EqualTo(2));
        Assert.That((await RunAsync("check", "--no-such-option", toy.Folder)).Exit, Is.EqualTo(2));
    }

    [Test]
    public async Task A_step_is_asked_for_the_options_that_it_knows()
    {
        using var toy = new ToyTree();
        var tools = Directory.CreateDirectory(Path.Combine(toy.Folder, "tools")).FullName;
        var step = Path.Combine(tools, "unit-test");
        await File.WriteAllTextAsync(step, "#!/bin/sh\n[ \"$*\" = --help ] || exit 9\nprintf 'Options:\\n  --all          as --older did\\n  --config <config>  the file\\n'\n");
        File.SetUnixFileMode(step, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        toy.Build("Toy_A", Call("unit-test", "--all=true --config &quot;a b&quot;")).Build("Toy_B", Call("unit-test", "--older")).Build("Toy_C", Call("unit-test", "again --all")).Build("Toy_D", Call("merge", "--whatever"));
        var (exit, output, _) = await RunAsync("check", "--tools", tools, toy.Folder);
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(output.Split('\n').Where(line => line.Contains("step-option", StringComparison.Ordinal)).Select(line => line[..line.IndexOf(':')] + line[line.LastIndexOf(": ", StringComparison.Ordinal)..]),
            Is.EqualTo(new[] { "Toy/buildTypes/Toy_B.xml: unit-test does not know the option --older", "Toy/buildTypes/Toy_C.xml: " }));
        Assert.That(output, Does.Contain("(--tools): merge"));

        static string Call(string name, string arguments) => ToyTree.Runners("      <runner id=\"R\" name=\"r\" type=\"simpleRunner\">\n        <parameters>\n          <param name=\"command.executable\" value=\"%teamcity.tool.x%/" + name +
            "\" />\n          <param name=\"command.parameters\" value=\"" + arguments + "\" />\n        </parameters>\n      </runner>\n");
    }

    [Test]
    public async Task A_plan_shows_order_limits_reuse_and_who_stops_whom()
    {
        const string reuse = "      <depend-on sourceBuildTypeId=\"Toy_A\">\n        <options>\n          <option name=\"take-started-build-with-same-revisions\" value=\"true\" />\n        </options>\n      </depend-on>\n";
        using var toy = new ToyTree().Root("x").Build("Toy_A", "    <options>\n      <option name=\"maximumNumberOfBuilds\" value=\"1\" />\n    </options>\n" + ToyTree.Vcs).Build("Toy_B", ToyTree.Dependencies(reuse))
            .Build("Toy_C", "    <build-extensions>\n      <extension id=\"BUILD_EXT_1\" type=\"approval-feature\">\n        <parameters />\n      </extension>\n    </build-extensions>\n" + ToyTree.Dependencies(reuse))
            .Build("Toy_D", ToyTree.Vcs + ToyTree.Dependencies(ToyTree.After("Toy_B", "RUN_ADD_PROBLEM", "CANCEL"), ToyTree.After("Toy_C")));
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
        const string reuse = "      <depend-on sourceBuildTypeId=\"Toy_A\">\n        <options>\n          <option name=\"take-started-build-with-same-revisions\" value=\"true\" />\n        </options>\n      </depend-on>\n";
        using var toy = new ToyTree().Build("Toy_A", "").Build("Toy_B", ToyTree.Dependencies(reuse)).Build("Toy_C", ToyTree.Dependencies(ToyTree.After("Toy_A")));
        Assert.That((await RunAsync("plan", "--build", "Toy_B", toy.Folder)).Output, Does.Contain("has it built anew"));
    }

    [Test]
    public async Task A_plan_is_made_of_what_is_there()
    {
        using var toy = new ToyTree().Write("Toy/buildTypes/Toy_Bad.xml", "<build-type>").Build("Toy_A", "", "Elsewhere_T").Build("Toy_B", ToyTree.Dependencies(ToyTree.After("Toy_A"), ToyTree.After("Elsewhere_C")));
        var (exit, output, error) = await RunAsync("plan", "--build", "Toy_B", toy.Folder);
        Assert.That(exit, Is.Zero);
        Assert.That(output, Does.Contain("2 builds").And.Contain("after Elsewhere_C"));
        Assert.That(error, Does.Contain("1 files of the settings are broken").And.Contain("template \"Elsewhere_T\", which is not in").And.Contain("depends on \"Elsewhere_C\", which is not in"));
    }

    [Test]
    public async Task Thousands_of_files_in_one_chain_take_no_minutes()
    {
        using var toy = new ToyTree().Root("x").Template("Toy_T", ToyTree.Vcs);
        for (var project = 0; project < 40; project++)
        {
            toy.Project($"Toy_P{project}", "Toy");
            for (var build = 0; build < 100; build++)
                toy.Build($"Toy_P{project}_B{build}", (build < 99 ? "" : ToyTree.Trigger()) + (build == 0 && project == 0 ? "" : ToyTree.Dependencies(ToyTree.After(build > 0 ? $"Toy_P{project}_B{build - 1}" : $"Toy_P{project - 1}_B99"))), "Toy_T", $"Toy_P{project}");
        }
        var watch = Stopwatch.StartNew();
        var (exit, output, _) = await RunAsync("check", "--json", toy.Folder);
        // One chain of 4,000: a VCS trigger in each hundredth and one at its end.
        Assert.That(exit, Is.Zero, output);
        Assert.That(JsonNode.Parse(output)!.AsArray().Select(finding => (string?)finding!["rule"]), Is.EqualTo(Enumerable.Repeat("chain-trigger", 39)));
        Assert.That((await RunAsync("plan", "--build", "Toy_P39_B99", "--branch", "ci/x", toy.Folder)).Output, Does.StartWith("branch ci/x; 4000 builds").And.Contain("4000. Toy_P39_B99"));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromMinutes(3)));
    }
}
