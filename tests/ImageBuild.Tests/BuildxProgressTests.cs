namespace CiSteps.ImageBuild.Tests;

public sealed class BuildxProgressTests
{
    [Test]
    public void Finds_the_failing_instruction_and_its_last_lines_in_buildxs_plain_output()
    {
        var lines = new List<string>();
        var progress = new BuildxBuild.BuildxProgress(lines.Add);
        foreach (var line in """
            #0 building with "default" instance using docker driver
            #1 [internal] load build definition from Dockerfile
            #1 DONE 0.0s
            #5 [1/3] FROM localhost/base
            #5 CACHED
            #6 [build 2/3] RUN echo fine
            #6 0.301 fine
            #6 DONE 0.4s
            #7 [build 3/3] RUN make all
            #7 0.212 compiling
            #7 0.345 main.c:1: error
            #7 ERROR: process "/bin/sh -c make all" did not complete successfully: exit code: 2
            ------
             > [build 3/3] RUN make all:
            ------
            ERROR: failed to solve: process "/bin/sh -c make all" did not complete successfully: exit code: 2
            """.ReplaceLineEndings("\n").Split('\n')) progress.Add(line);
        Assert.That(progress.Instruction, Is.EqualTo("RUN make all"));
        Assert.That(progress.LastLines, Is.EqualTo(new[] { "compiling", "main.c:1: error" }));
        Assert.That(progress.Error, Does.Contain("exit code: 2"));
        Assert.That((progress.Steps, progress.Cached), Is.EqualTo((3, 1)));
        Assert.That(lines, Has.Count.EqualTo(16));
    }
}
