namespace CiSteps.Images.Tests;

public sealed class BuildProgressTests
{
    [Test]
    public void Joins_pieces_drops_colours_and_leaves_out_the_labels_that_nobody_wrote()
    {
        var lines = new List<string>();
        var progress = new BuildProgress(lines.Add, ["a.b"]);
        foreach (var piece in new[]
        {
            "Step 1/4 : FROM base\n", " ---> 123\n", "Step 2/4 : RUN make\n", " ---> Running in 1\n", "\u001b[91mfir",
            "st\n\u001b[0m", "sec", "ond\r\n", "Removing intermediate container 1\n",
            "Step 3/4 : LABEL a.b=c\n", " ---> Running in 2\n", " ---> 345\n", "Step 4/4 : LABEL own=1\n", " ---> Using cache\n",
            " ---> 456\n", "Successfully built 456",
        }) progress.Add(piece);
        progress.End();
        Assert.That(lines, Is.EqualTo(new[]
        {
            "Step 1/4 : FROM base", " ---> 123", "Step 2/4 : RUN make", " ---> Running in 1", "first", "second",
            "Removing intermediate container 1",
            "Step 4/4 : LABEL own=1", " ---> Using cache", " ---> 456", "Successfully built 456",
        }));
        Assert.That((progress.Steps, progress.Cached), Is.EqualTo((2, 1)));
    }

    [Test]
    public void Keeps_the_failing_instruction_with_its_last_lines_only()
    {
        var progress = new BuildProgress(_ => { }, []);
        progress.Add(
            "Step 1/2 : RUN one\nof the first\nStep 2/2 : RUN two\n" +
                string.Concat(Enumerable.Range(1, 30).Select(line => $"line {line}\n")));
        Assert.That(progress.Instruction, Is.EqualTo("RUN two"));
        Assert.That(progress.LastLines, Has.Count.EqualTo(20));
        Assert.That(progress.LastLines[^1], Is.EqualTo("line 30"));
    }
}
