using CiSteps.Fixtures;

namespace CiSteps.Hosting.Tests;

public sealed class Globs
{
    [TestCase("greeter/**", "greeter/a", true)]
    [TestCase("greeter/**", "greeter/a/b.c", true)]
    [TestCase("greeter/**", "greeter", true)]
    [TestCase("greeter/**", "greeters/a", false)]
    [TestCase("greeter/", "greeter/a/b", true)]
    [TestCase("**", "a/b/c", true)]
    [TestCase("**/*.cs", "a.cs", true)]
    [TestCase("**/*.cs", "a/b/c.cs", true)]
    [TestCase("**/*.cs", "a/b/c.csx", false)]
    [TestCase("*.cs", "a/b.cs", false)]
    [TestCase("a/*/c", "a/b/c", true)]
    [TestCase("a/*/c", "a/b/b/c", false)]
    [TestCase("a/**/c", "a/c", true)]
    [TestCase("a/**/b/**/c", "a/x/b/y/b/z/c", true)]
    [TestCase("a/**/b/**/c", "a/x/y/c", false)]
    [TestCase("a?c", "abc", true)]
    [TestCase("a?c", "ac", false)]
    [TestCase("{a,b}/x", "b/x", true)]
    [TestCase("{a,b{c,d}}/x", "bd/x", true)]
    [TestCase("{a,}b", "b", true)]
    [TestCase("*a*a*b", "aaaaaaaab", true)]
    [TestCase("*a*a*b", "aaaaaaaa", false)]
    [TestCase("[id]/x", "[id]/x", true)]
    [TestCase("A", "a", false)]
    [TestCase("ä/*", "ä/ß", true)]
    public void Match(string glob, string path, bool matches) =>
        Assert.That(PathGlobs.Parse([glob]).Matches(path), Is.EqualTo(matches));

    [Test]
    public void Let_the_last_one_that_matches_decide()
    {
        var globs = PathGlobs.Parse(["a/**", "!a/docs/**", "a/docs/keep.md"]);
        Assert.That(
            new[] { "a/x", "a/docs/y", "a/docs/keep.md", "b" }.Select(globs.Matches),
            Is.EqualTo(new[] { true, false, true, false }));
    }

    [TestCase("")]
    [TestCase("!")]
    [TestCase("!x")]
    [TestCase("/x")]
    [TestCase("./x")]
    [TestCase("a//b")]
    [TestCase("a/../b")]
    [TestCase("a**")]
    [TestCase("{a")]
    [TestCase("a}")]
    [TestCase("a\\b")]
    [TestCase("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}")]
    public void Are_refused(string glob) => Assert.That(() => PathGlobs.Parse([glob]), Throws.InstanceOf<FormatException>());

    [Test]
    public void Match_in_linear_time_what_would_make_a_backtracking_matcher_hang()
    {
        var globs = PathGlobs.Parse([
            string.Join('/', Enumerable.Repeat("**/a", 20)) + "/b",
            string.Concat(Enumerable.Repeat("*a", 30)) + "b"
        ]);
        Assert.That(globs.Matches(string.Join('/', Enumerable.Repeat("a", 500))), Is.False);
        Assert.That(globs.Matches(new string('a', 5000)), Is.False);
    }

    [Test]
    public void Find_files_below_a_folder()
    {
        using var folder = new TestFolder();
        foreach (var path in new[] { "a/build/r1.xml", "a/build/r2.txt", "b/r3.xml", ".git/x.xml", ".ci-steps/x.xml", "r.xml" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder.Path, path))!);
            File.WriteAllText(Path.Combine(folder.Path, path), "");
        }
        Assert.That(
            PathGlobs.Parse(["**/*.xml", "!b/**"]).FilesUnder(folder.Path), Is.EqualTo(new[] { "a/build/r1.xml", "r.xml" }));
        Assert.That(PathGlobs.Parse(["a/build/*.xml"]).FilesUnder(folder.Path), Is.EqualTo(new[] { "a/build/r1.xml" }));
        Assert.That(PathGlobs.Parse(["nowhere/**"]).FilesUnder(folder.Path), Is.Empty);
    }
}
