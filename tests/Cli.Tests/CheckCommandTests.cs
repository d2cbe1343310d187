using System.Diagnostics;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using static CiSteps.Cli.Tests.ProgramCall;

namespace CiSteps.Cli.Tests;

/// <summary><c>ci-steps check</c> and <c>ci-steps plan</c> as a person or a script calls them.</summary>
public sealed class Checking_from_the_command_line
{
    private const string ClearSecret =
        "    <parameters>\n      <param name=\"p\" value=\"hunter2\" spec=\"password\" />\n    </parameters>";
    private const string Warned = "    <options>\n      <option name=\"noSuchOption\" value=\"1\" />\n    </options>";

    [Test]
    public async Task A_clean_tree_gives_one_line_and_0()
    {
        using var toy = new ToyTree().Root("x").Build("Toy_A", ToyTree.Vcs);
        Assert.That(
            await RunAsync("check", toy.Folder),
            Is.EqualTo((0, "1 project, 1 configuration or template, 1 VCS root, 0 recipes: 0 errors, 0 warnings\n", "")));
    }

    [Test]
    public async Task An_error_gives_file_line_rule_message_and_1()
    {
        using var toy = new ToyTree().Build("Toy_A", ClearSecret);
        var (exit, output, _) = await RunAsync("check", toy.Folder);
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(
            output, Does.StartWith("Toy/buildTypes/Toy_A.xml:7: clear-secret: the secret \"p\" stands there in clear text"));
    }

    [Test]
    public async Task Warnings_alone_give_0_and_under_strict_1()
    {
        using var toy = new ToyTree().Build("Toy_A", Warned);
        var (exit, output, _) = await RunAsync("check", toy.Folder);
        Assert.That(
            (exit, output.Split('\n')[0]),
            Is.EqualTo(
                (0, "Toy/buildTypes/Toy_A.xml:7: warning: option: \"noSuchOption\" is not known as build option of \"Toy_A\"")));
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
        await File.WriteAllTextAsync(
            step,
            "#!/bin/sh\ncase \"$*\" in\n--help) printf 'Options:\\n  --all          as --older did\\n  --config <config>  the " +
            "file\\n\\nCommands:\\n  again <name>  runs it\\n' ;;\n" +
                "'again --help') printf 'Arguments:\\n  <name>  which\\n\\nOptions:\\n  --quick  no waiting\\n' ;;\n*) echo no " +
                ">&2; exit 9 ;;\nesac\n");
        var broken = Path.Combine(tools, "certify");
        await File.WriteAllTextAsync(broken, "#!/bin/sh\necho 'cannot start' >&2\nexit 9\n");
        foreach (var file in new[] { step, broken })
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        toy.Build("Toy_A", Call("unit-test", "--all=true --config &quot;a b&quot;"))
            .Build("Toy_B", Call("unit-test", "--older"))
            .Build("Toy_C", Call("unit-test", "agian --all"))
            .Build("Toy_D", Call("merge", "--whatever"))
            .Build("Toy_E", Call("unit-test", "again one --quick"))
                .Build("Toy_F", Call("unit-test", "again --all"))
                .Build("Toy_G", Call("unit-test", "%which% --all"))
                .Build("Toy_H", Call("certify", "--all"));
        var (exit, output, error) = await RunAsync("check", "--tools", tools, toy.Folder);
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(
            output.Split('\n')
                .Where(line => line.Contains("step-option", StringComparison.Ordinal))
                .Select(line => line[(line.IndexOf("Toy_", StringComparison.Ordinal) + 4)..]),
            Is.EqualTo(new[]
            {
                "B.xml:10: step-option: unit-test does not know the option --older",
                "C.xml:10: step-option: unit-test does not know \"agian\"",
                "F.xml:10: step-option: unit-test again does not know the option --all",
                "H.xml:10: step-option: certify does not say which options it has (--help): cannot start",
            }), output);
        Assert.That(error, Does.EndWith("(--tools): merge\n"));
        Assert.That(
            (await RunAsync("check", "--tools", tools + "/gone", toy.Folder)).Error, Does.Contain("the folder of executables"));

        static string Call(string name, string arguments) =>
            ToyTree.Runners(
                "      <runner id=\"R\" name=\"r\" type=\"simpleRunner\">\n        <parameters>\n          <param " +
                "name=\"command.executable\" value=\"%teamcity.tool.x%/" +
                    name +
                    "\" />\n          <param name=\"command.parameters\" value=\"" +
                        arguments +
                        "\" />\n        </parameters>\n      </runner>\n");
    }

    [Test]
    public async Task What_is_no_settings_tree_in_xml_is_said_plainly_with_2()
    {
        using var toy = new ToyTree();
        var folder = Directory.CreateDirectory(Path.Combine(toy.Folder, "kotlin", ".teamcity")).Parent!.FullName;
        Assert.That((await RunAsync("check", folder)).Error, Does.Contain("there are no TeamCity settings in"));
        await File.WriteAllTextAsync(Path.Combine(folder, ".teamcity", "settings.kts"), "version = \"2025.03\"\n");
        foreach (var command in new[] { "check", "plan" })
        {
            var (exit, output, error) = await RunAsync(command, folder);
            Assert.That((exit, output, error.Count(unit => unit == '\n')), Is.EqualTo((2, "", 1)));
            Assert.That(error, Does.Contain("are written in Kotlin (settings.kts)"));
        }
        Assert.That(
            (await RunAsync("check", Path.Combine(folder, ".teamcity", "settings.kts"))).Error,
            Does.Contain("settings.kts\" is a file; give the folder"));
    }

    [Test]
    public async Task A_file_that_cannot_be_read_is_a_finding_with_its_name()
    {
        using var toy = new ToyTree().Build("Toy_A", "").Write("Toy/buildTypes/Toy_B.xml", "<build-type>\n  <name>");
        File.CreateSymbolicLink(Path.Combine(toy.Folder, ".teamcity/Toy/buildTypes/Toy_C.xml"), "nowhere");
        var (exit, output, _) = await RunAsync("check", "--json", toy.Folder);
        Assert.That(exit, Is.EqualTo(1));
        Assert.That(
            JsonNode.Parse(output)!
                .AsArray()
                .Select(finding => $"{finding!["file"]} {finding["rule"]} {((string)finding["message"]!).Split(':')[0]}"),
            Is.EqualTo(
                new[] { "Toy/buildTypes/Toy_B.xml xml not well-formed XML", "Toy/buildTypes/Toy_C.xml xml cannot be read" }));
    }

    [Test]
    public async Task Thousands_of_files_in_one_chain_take_no_minutes()
    {
        using var toy = new ToyTree().Root("x").Template("Toy_T", ToyTree.Vcs);
        for (var project = 0; project < 40; project++)
        {
            toy.Project($"Toy_P{project}", "Toy");
            for (var build = 0; build < 100; build++)
                toy.Build(
                    $"Toy_P{project}_B{build}",
                    (build < 99 ? "" : ToyTree.Trigger())
                        + (build == 0 && project == 0
                            ? ""
                            : ToyTree.Dependencies(ToyTree.After(
                                build > 0 ? $"Toy_P{project}_B{build - 1}" : $"Toy_P{project - 1}_B99"))),
                    "Toy_T",
                    $"Toy_P{project}");
        }
        var watch = Stopwatch.StartNew();
        var (exit, output, _) = await RunAsync("check", "--json", toy.Folder);
        // One chain of 4,000: a VCS trigger in each hundredth and one at its end.
        Assert.That(exit, Is.Zero, output);
        Assert.That(
            JsonNode.Parse(output)!.AsArray().Select(finding => (string?)finding!["rule"]),
            Is.EqualTo(Enumerable.Repeat("chain-trigger", 39)));
        Assert.That(
            (await RunAsync("plan", "--build", "Toy_P39_B99", "--branch", "ci/x", toy.Folder)).Output,
            Does.StartWith("branch ci/x; 4000 builds").And.Contain("4000. Toy_P39_B99"));
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromMinutes(3)));
    }
}
