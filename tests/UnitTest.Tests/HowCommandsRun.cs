using System.Diagnostics;
using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>
/// Where a command's program is looked up, what it leaves behind, what it names, and what it needs of the machine.
/// </summary>
public sealed class HowCommandsRun
{
    [TestCase("./gradlew", "svc", "svc says")]
    [TestCase("tools/gradlew", "svc", "tools says")]
    [TestCase("../gradlew", "svc", "root says")]
    [TestCase("./gradlew", ".", "root says")]
    [TestCase("svc/gradlew", ".", "svc says")]
    public async Task A_relative_program_is_looked_up_in_the_folder(string program, string folder, string says)
    {
        using var project = new Project($"run: ['{program}', test]\nfolder: {folder}\nformat: tap");
        Script(project, "gradlew", "root says");
        Script(project, "svc/gradlew", "svc says");
        Script(project, "svc/tools/gradlew", "tools says");

        var exit = await project.Change().RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Output, Does.Contain($"ok 1 - {says}"));
        }
    }

    [Test]
    public async Task A_bare_name_is_looked_up_on_the_path_and_neither_in_the_folder_nor_beside_the_step()
    {
        using var project = new Project("run: [gradlew]\nformat: tap");
        Script(project, "gradlew", "must not run");

        var exit = await project.Change().RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage), project.Output);
            Assert.That(project.Text, Does.Contain("cannot start \"gradlew\"").And.Contain("no such program on the PATH"));
        }
    }

    [Test]
    public async Task The_path_that_counts_is_the_commands_own()
    {
        using var project = new Project("run: [gradlew]\nformat: tap\nenv:\n  PATH: bin:/usr/bin:/bin");
        Script(project, "bin/gradlew", "found");

        var exit = await project.Change().RunAsync();

        Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
    }

    [Test]
    public async Task A_folder_that_is_not_there_is_usage_and_names_it()
    {
        using var project = new Project("run: ['true']\nfolder: gone\nformat: tap").Change();

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage), project.Output);
            Assert.That(project.Text, Does.Contain("there is no folder \"").And.Contain("/gone\""));
        }
    }

    // The second has left its session and its parent, and holds the output open.
    [TestCase("sleep 600 & echo $! > pid.log")]
    [TestCase("setsid sh -c 'echo $$ > pid.log; exec sleep 600' & while [ ! -s pid.log ]; do :; done")]
    public async Task What_a_command_leaves_running_ends_with_it_and_is_named(string script)
    {
        using var project = new Project("run: [sh, api/test.sh]\nformat: tap");
        project.Change("api/test.sh", script + "\nprintf '1..1\\nok 1 - a\\n'\n");
        var watch = Stopwatch.StartNew();

        var exit = await project.RunAsync();

        var id = int.Parse((await File.ReadAllTextAsync(Path.Combine(project.Clone.Folder, "pid.log")))
            .Trim(), System.Globalization.CultureInfo.InvariantCulture);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That(project.Output, Does.Contain($"left running: sleep ({id})"));
            Assert.That(Ended(id), Is.True);
            Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromSeconds(60)));
        }
    }

    [TestCase("run: [sh, tools/test.sh]", "tools/test.sh")]
    [TestCase("run: sh tools/test.sh", "tools/test.sh")]
    [TestCase("run: cd tools && ./test.sh", "tools/test.sh")]
    [TestCase("run: [./test.sh]\nfolder: tools", "tools/test.sh")]
    [TestCase("run: [sh, -c, 'cat \"tools/data.txt\"; sh tools/test.sh']", "tools/data.txt")]
    [TestCase("run: [sh, tools/test.sh, --config=tools/data.txt]", "tools/data.txt")]
    [TestCase("run: [sh, tools/test.sh, tools]", "tools/data.txt")]
    public async Task A_change_of_nothing_but_what_a_command_names_is_tested(string run, string changed)
    {
        using var project = new Project(run + "\nformat: tap");
        Script(project, "tools/test.sh", "ran");
        project.Clone.Write("tools/data.txt", "");
        project.Clone.Commit("tools");
        project.Clone.Git("push", "-q", "origin", "ci/x:main");
        project.Clone.Git("fetch", "-q", "origin");
        project.Change(changed, File.ReadAllText(Path.Combine(project.Clone.Folder, changed)) + "\n");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((bool)project.Component("api")["changed"]!, Is.True, project.Output);
            Assert.That((bool)project.Component("web")["changed"]!, Is.False, project.Output);
            Assert.That((int)project.Component("api")["passed"]!, Is.EqualTo(1), project.Output);
            Assert.That(project.Output,
                Does.Contain("has \"tools/test.sh\", which no component's paths cover"));
        }
    }

    [Test]
    public async Task A_work_tree_that_takes_no_files_is_usage_in_one_line()
    {
        using var project = new Project("run: ['true']\nformat: tap").Change();
        // Also for root, who may write to any folder: where the folder should be there is a file.
        await File.WriteAllTextAsync(Path.Combine(project.Clone.Folder, ".ci-steps"), "");

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage), project.Output);
            Assert.That(project.Output,
                Does.Contain("takes no files").And.Contain("mount it writable").And.Not.Contain("   at "));
        }
    }

    [Test]
    public async Task A_temporary_folder_that_is_not_there_is_usage_in_one_line()
    {
        using var project = new Project("run: ['true']\nformat: tap").Change();
        project.Environment["TMPDIR"] = "/no/such/folder";

        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Usage), project.Output);
            Assert.That(project.Text, Does.Contain("\"/no/such/folder\" takes no files").And.Contain("set TMPDIR"));
        }
    }

    private static void Script(Project project, string path, string says)
    {
        project.Clone.Write(path, $"#!/bin/sh\nprintf '1..1\\nok 1 - {says}\\n'\n");
        File.SetUnixFileMode(Path.Combine(project.Clone.Folder, path),
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    // Killed and not yet waited for by whoever took it over is ended as well.
    private static bool Ended(int id)
    {
        var status = $"/proc/{id}/stat";
        return !File.Exists(status) || File.ReadAllText(status).Contains(") Z ", StringComparison.Ordinal);
    }
}
