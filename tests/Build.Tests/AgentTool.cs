using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;

namespace CiSteps.Build.Tests;

/// <summary>
/// The archives that are handed out, made of stand-ins for the linked executables: the agent tool, and the command for people.
/// </summary>
[TestFixture]
internal sealed class AgentTool
{
    private static readonly string[] All = [.. Directory.GetFiles(
        Path.Combine(BuildScript.Root, "steps"), "Program.cs", SearchOption.AllDirectories)
        .Select(file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal)];

    private static readonly string[] Executables = [.. All.Except(["ci-steps"])];

    private string folder = "";

    [SetUp]
    public void Make_the_stand_ins()
    {
        folder = Directory.CreateTempSubdirectory("agent-tool-").FullName;
        foreach (var name in (string[])[.. All, "libgit2-0123456.so", "merge.dbg", "left-from-an-older-version"])
            Write($"files/{name}", name);
    }

    [TearDown]
    public void Remove_them() => Directory.Delete(folder, recursive: true);

    [Test]
    public void Has_its_descriptor_at_the_root_and_lists_exactly_what_is_executable()
    {
        using var zip = ZipFile.OpenRead(Pack("linux-x64"));

        Assert.That(
            zip.Entries.Select(entry => entry.FullName),
            Is.EqualTo(Executables
                .Concat(["LICENSE", "NOTICE.txt", "libgit2-0123456.so", "libgit2.license.txt", "teamcity-plugin.xml"])
                .Order(StringComparer.Ordinal)));
        Assert.That(
            zip.Entries.Where(entry => (entry.ExternalAttributes >> 16 & 0b001_001_001) != 0).Select(entry => entry.FullName),
            Is.EqualTo(Executables));
        Assert.That(Included(zip), Is.EquivalentTo(Executables));
    }

    [Test]
    public void Leaves_the_command_for_people_to_an_archive_of_its_own()
    {
        using var zip = ZipFile.OpenRead(Pack("linux-x64", "people"));

        Assert.That(zip.Entries.Select(entry => entry.FullName),
            Is.EqualTo(
                new[]
                {
                    "LICENSE",
                    "NOTICE.txt",
                    "ci-steps",
                    "libgit2-0123456.so",
                    "libgit2.license.txt",
                    "teamcity-plugin.xml"
                }));
        Assert.That(Included(zip), Is.EqualTo(new[] { "ci-steps" }));
    }

    [Test]
    public void Has_the_same_bytes_when_it_is_made_of_the_same_files()
    {
        var first = File.ReadAllBytes(Pack("linux-x64"));
        foreach (var file in Directory.GetFiles(Path.Combine(folder, "files")))
            File.SetLastWriteTimeUtc(file, new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));

        Assert.That(File.ReadAllBytes(Pack("linux-x64")), Is.EqualTo(first));
    }

    [TestCase("")]
    [TestCase(null)]
    public void Is_not_made_when_an_executable_is_empty_or_missing(string? content)
    {
        if (content is null) File.Delete(Path.Combine(folder, "files", "merge"));
        else Write("files/merge", content);

        Assert.That(Build("linux-x64"), Is.Not.Zero);
        Assert.That(File.Exists(Path.Combine(folder, "ci-steps-linux-x64.zip")), Is.False);
    }

    [Test]
    public void Holds_the_runtime_too_where_nothing_can_be_linked()
    {
        foreach (var name in (string[])["merge.exe", "coreclr.dll", "deeper/there.dll", "merge.pdb"])
            Write($"files/{name}", name);
        using var zip = ZipFile.OpenRead(Pack("win-x64"));

        Assert.That(
            zip.Entries.Select(entry => entry.FullName),
            Is.SupersetOf(new[] { "merge.exe", "coreclr.dll", "deeper/there.dll", "teamcity-plugin.xml", "LICENSE" }));
        Assert.That(zip.GetEntry("merge.pdb"), Is.Null);
        Assert.That(Included(zip), Is.Empty, "Windows knows no executable bit");
    }

    [Test]
    public void Is_unpacked_by_the_scripts_as_an_agent_does_it()
    {
        Pack("linux-x64", "people");
        var unpacked = Script(Pack("linux-x64")).Split('\n')[^1];

        Assert.That(unpacked, Does.EndWith("/ci-steps-linux-x64"));
        Assert.That(
            Directory.GetFiles(unpacked)
                .Where(file => (File.GetUnixFileMode(file) & UnixFileMode.UserExecute) != 0)
                .Select(Path.GetFileName),
            Is.EquivalentTo(All));
        Assert.That(Directory.GetDirectories(Path.GetDirectoryName(unpacked)!), Is.EqualTo(new[] { unpacked }));
    }

    [Test]
    public void Is_not_enough_for_the_scripts_without_the_command_for_people()
    {
        Assert.That(Script(Pack("linux-x64")), Does.Contain("there is no executable \"ci-steps\" in \"")
            .And.Contain("put ci-steps-cli-linux-x64.zip, which build.ps1 pack makes too, beside it").And.EndWith("exit 2"));
    }

    [Test]
    public void Is_not_needed_for_what_people_do_alone()
    {
        Assert.That(Script(Pack("linux-x64", "people"), "ci-steps").Split('\n')[^1], Does.EndWith("/ci-steps-cli-linux-x64"));
    }

    [TestCase("files/nowhere.zip", "there is no \"")]
    [TestCase("files/merge", "is not a zip archive")]
    [TestCase("files", "there is no executable \"unit-test\" in \"")]
    public void Is_refused_by_the_scripts_when_it_is_none(string path, string why) =>
        Assert.That(Script(Path.Combine(folder, path)), Does.Contain(why).And.Contain(path).And.EndWith("exit 2"));

    /// <summary>
    /// Has the scripts take the executables from a folder or archive; says where they are then, or what was said instead.
    /// </summary>
    private string Script(string tool, string needed = "")
    {
        // A copy, so that what is unpacked stays out of the tree.
        Write("scripts/prerequisites.sh", File.ReadAllText(Path.Combine(BuildScript.Root, "scripts", "prerequisites.sh")));
        var start = new ProcessStartInfo(
            "bash",
            ["-c", $"(. '{folder}/scripts/prerequisites.sh'; provide_executables {needed}; echo \"$tool\") 2>&1 || echo exit $?"])
        {
            RedirectStandardOutput = true,
            Environment = { ["CISTEPS_TOOL"] = tool },
        };
        using var process = Process.Start(start)!;
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return said.Trim();
    }

    private static IEnumerable<string> Included(ZipArchive zip)
    {
        using var descriptor = zip.GetEntry("teamcity-plugin.xml")!.Open();
        var root = XDocument.Load(descriptor).Root!;
        Assert.That(
            (root.Name.LocalName, root.Elements().Single().Name.LocalName),
            Is.EqualTo(("teamcity-agent-plugin", "tool-deployment")));
        return root.Descendants("include").Select(include => include.Attribute("name")!.Value);
    }

    private string Pack(string rid, string whom = "agents")
    {
        Assert.That(Build(rid, whom), Is.Zero);
        return Archive(rid, whom);
    }

    private string Archive(string rid, string whom) =>
        Path.Combine(folder, whom == "people" ? $"ci-steps-cli-{rid}.zip" : $"ci-steps-{rid}.zip");

    private int Build(string rid, string whom = "agents")
    {
        var start = new ProcessStartInfo(
            "dotnet",
            ["msbuild", Path.Combine(BuildScript.Root, "steps", "executables.proj"), "-nologo", "-v:q", "-t:Archive",
                $"-p:Rid={rid}", $"-p:For={whom}", $"-p:Files={folder}/files/", $"-p:Archive={Archive(rid, whom)}"])
        {
            RedirectStandardOutput = true
        };
        using var process = Process.Start(start)!;
        TestContext.Out.Write(process.StandardOutput.ReadToEnd());
        process.WaitForExit();
        return process.ExitCode;
    }

    private void Write(string path, string text)
    {
        var whole = Path.Combine(folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(whole)!);
        File.WriteAllText(whole, text);
    }
}
