using CiSteps.Fixtures;

namespace CiSteps.Hosting.Tests;

public sealed class WholeFiles
{
    [Test]
    public void Are_the_old_ones_until_the_new_ones_are_whole()
    {
        using var folder = new TestFolder();
        var path = folder.Of("below/file");
        WholeFile.Write(path, "old");

        Assert.That(() => WholeFile.Write(path, stream =>
        {
            stream.Write("half"u8);
            stream.Flush();
            Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
            throw new IOException("full");
        }), Throws.TypeOf<IOException>());

        using (Assert.EnterMultipleScope())
        {
            Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
            Assert.That(Directory.GetFiles(folder.Of("below")), Has.Length.EqualTo(1));
        }
        WholeFile.Write(path, "new");
        Assert.That(File.ReadAllText(path), Is.EqualTo("new"));
    }

    [Test]
    [Platform("Unix")]
    public void That_are_secret_are_the_owners_from_the_first_moment_on()
    {
        using var folder = new TestFolder();
        var path = folder.Of("secret");
        const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        // What somebody else may have opened already.
        File.WriteAllText(path + ".tmp", "");

        WholeFile.Write(path, stream => Assert.That(File.GetUnixFileMode(path + ".tmp"), Is.EqualTo(own)), isSecret: true);

        Assert.That(File.GetUnixFileMode(path), Is.EqualTo(own));
    }
}
