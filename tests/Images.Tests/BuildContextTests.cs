using System.Diagnostics;
using System.Formats.Tar;
using System.Text;
using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class BuildContextTests
{
    private TestFolder folder = null!;

    [SetUp]
    public void Open()
    {
        folder = new TestFolder();
        folder.Write("Dockerfile", "FROM scratch\n");
    }

    [TearDown]
    public void Close() => folder.Dispose();

    [Test]
    public async Task The_same_files_give_the_same_bytes_whenever_they_were_written()
    {
        folder.Write("b/two", "2");
        folder.Write("b.txt", "text");
        folder.Write("a", "1");
        File.SetUnixFileMode(folder.Of("a"), (UnixFileMode)0b111_101_101);
        File.CreateSymbolicLink(folder.Of("link"), "b/two");
        var first = await TarAsync();
        foreach (var file in Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories).Where(file => File.ResolveLinkTarget(file, false) is null))
            File.SetLastWriteTimeUtc(file, new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        Assert.That(await TarAsync(), Is.EqualTo(first));
        using var reader = new TarReader(new MemoryStream(first));
        var entries = new List<(string, TarEntryType, UnixFileMode, string)>();
        while (await reader.GetNextEntryAsync(copyData: true) is { } entry)
        {
            Assert.That((entry.Uid, entry.Gid), Is.EqualTo((0, 0)));
            Assert.That(entry.ModificationTime.Year, Is.EqualTo(1980));
            entries.Add((entry.Name, entry.EntryType, entry.Mode, entry.EntryType == TarEntryType.SymbolicLink ? entry.LinkName : entry.DataStream is { } data ? await new StreamReader(data).ReadToEndAsync() : ""));
        }
        Assert.That(entries.Select(entry => entry.Item1), Is.EqualTo(new[] { "Dockerfile", "a", "b/", "b/two", "b.txt", "link" }).AsCollection);
        Assert.That(entries[1], Is.EqualTo(("a", TarEntryType.RegularFile, (UnixFileMode)0b111_101_101, "1")));
        Assert.That(entries[5].Item4, Is.EqualTo("b/two"));
    }

    [Test]
    public async Task Streams_a_large_context_without_keeping_it()
    {
        var piece = new byte[1 << 20];
        new Random(1).NextBytes(piece);
        await using (var file = File.Create(folder.Of("large")))
            for (var at = 0; at < 128; at++) await file.WriteAsync(piece);
        long read = 0;
        var (before, most) = (GC.GetTotalMemory(forceFullCollection: true), 0L);
        await BuildContext.Open(folder.Path, folder.Of("Dockerfile")).StreamAsync(async stream =>
        {
            var buffer = new byte[1 << 16];
            int count;
            while ((count = await stream.ReadAsync(buffer)) > 0)
            {
                var isNextQuarter = read >> 25 != (read + count) >> 25;
                read += count;
                if (isNextQuarter) most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true));
            }
        });
        Assert.That(read, Is.GreaterThan(128L << 20));
        Assert.That(most - before, Is.LessThan(32L << 20));
    }

    [Test]
    public void A_reader_that_gives_up_is_the_cause_that_is_told() =>
        Assert.That(async () =>
        {
            folder.Write("file", new string('x', 1 << 20));
            await BuildContext.Open(folder.Path, folder.Of("Dockerfile")).StreamAsync(_ => throw new InvalidOperationException("no more"));
        }, Throws.InvalidOperationException.With.Message.EqualTo("no more"));

    [Test]
    public void Never_takes_the_chains_own_folder_along()
    {
        folder.Write(".ci-steps/evidence/x", "x");
        folder.Write(".dockerignore", "!.ci-steps\n");
        Assert.That(List(), Has.None.StartsWith(".ci-steps"));
    }

    [Test]
    public void Does_not_hang_on_a_named_pipe()
    {
        Assert.That(Run("mkfifo", folder.Of("pipe")).Exit, Is.Zero);
        Assert.That(async () => await TarAsync(), Throws.Nothing);
    }

    [Test]
    public async Task Says_what_is_missing()
    {
        Assert.That(Assert.Throws<UsageException>(() => BuildContext.Open(folder.Of("none"), folder.Of("Dockerfile")))!.Message, Does.Contain("none"));
        Assert.That(Assert.Throws<UsageException>(() => BuildContext.Open(folder.Path, folder.Of("Containerfile")))!.Message, Does.Contain("Containerfile"));
        folder.Write(".dockerignore", "[a\n");
        Assert.That(Assert.Throws<UsageException>(() => BuildContext.Open(folder.Path, folder.Of("Dockerfile")))!.Message, Does.Contain("[a"));
        await Task.CompletedTask;
    }

    [Test]
    public void The_dockerfiles_own_ignore_file_counts_before_the_general_one()
    {
        folder.Write("docker/Dockerfile", "FROM scratch\n");
        folder.Write("docker/Dockerfile.dockerignore", "one\n");
        folder.Write(".dockerignore", "two\n");
        folder.Write("one", "");
        folder.Write("two", "");
        Assert.That(BuildContext.Open(folder.Path, folder.Of("docker/Dockerfile")).List(), Does.Contain("two").And.Not.Contain("one"));
        Assert.That(BuildContext.Open(folder.Path, folder.Of("Dockerfile")).List(), Does.Contain("one").And.Not.Contain("two"));
    }

    [Test]
    public async Task A_dockerfile_outside_of_the_context_goes_along_under_a_name_of_its_own()
    {
        folder.Write("app/file", "x");
        var context = BuildContext.Open(folder.Of("app"), folder.Of("Dockerfile"));
        Assert.That(context.Dockerfile, Does.StartWith(".dockerfile."));
        var memory = new MemoryStream();
        await context.WriteAsync(memory);
        Assert.That(Encoding.UTF8.GetString(memory.ToArray()), Does.Contain(context.Dockerfile).And.Contain("FROM scratch"));
    }

    /// <summary>Each ignore file here is given to the engine's own client as well; the image that it builds says what it sent.</summary>
    [Category("NeedsDocker")]
    [TestCase("")]
    [TestCase("# a comment\n\n  a.txt  \n")]
    [TestCase("a.txt\nsub\n")]
    [TestCase("sub/\n")]
    [TestCase("/sub/inner\n")]
    [TestCase("sub/./inner/../inner\n")]
    [TestCase("*\n")]
    [TestCase("*\n!sub\n")]
    [TestCase("*\n!sub/inner\n")]
    [TestCase("*\n!sub/inner/deep.txt\n")]
    [TestCase("*\n!**/deep.txt\n")]
    [TestCase("**/*.txt\n")]
    [TestCase("**/*.txt\n!a.txt\n")]
    [TestCase("**/inner\n")]
    [TestCase("**\n!a.txt\n")]
    [TestCase("sub/**\n")]
    [TestCase("sub/**/deep.txt\n")]
    [TestCase("**/deep.txt\n")]
    [TestCase("s?b/*.md\n")]
    [TestCase("[ab].txt\n")]
    [TestCase("[^a].txt\n")]
    [TestCase("[a-b].*\n!b.txt\n")]
    [TestCase("sub\n!sub/keep.md\n")]
    [TestCase("sub/*\n!sub/inner\nsub/inner/deep.txt\n")]
    [TestCase("!a.txt\na.txt\n")]
    [TestCase("a+b(c).txt\n")]
    [TestCase("a\\.txt\n")]
    [TestCase("Dockerfile\n.dockerignore\n")]
    [TestCase("\uFEFFa.txt\n")]
    [TestCase("a.txt\r\nsub\r\n")]
    public async Task Ignores_what_the_engines_own_client_ignores(string ignore)
    {
        foreach (var path in new[] { "a.txt", "b.txt", "a+b(c).txt", "other/a.txt", "sub/keep.md", "sub/a.txt", "sub/inner/deep.txt", "sub/inner/more/deep.txt", "sub/inner/x" }) folder.Write(path, path);
        if (ignore.Length > 0) folder.Write(".dockerignore", ignore);
        await using var local = await LocalEngine.OpenAsync();
        var name = ImageReference.Parse($"localhost/cisteps-test-{local.Id}:context");
        local.Own(name.ToString());
        // Both are built by the engine from the same Dockerfile; only who made the context differs.
        folder.Write("Dockerfile", "FROM scratch\nCOPY . /\n");
        var built = Run("docker", "build", "--quiet", "--no-cache", "--tag", name.ToString(), folder.Path);
        Assert.That(built.Exit == 0 || built.Text.Contains("no source files", StringComparison.Ordinal), built.Text);
        var theirs = built.Exit == 0 ? await FilesAsync(local, name) : [];
        EngineBuildResult? result = null;
        var context = BuildContext.Open(folder.Path, folder.Of("Dockerfile"));
        try
        {
            await context.StreamAsync(async stream => result = await local.Engine.BuildAsync(new EngineBuild(context.Dockerfile) { Name = name }, stream, _ => { }));
        }
        catch (ImageBuildException failure) when (failure.EngineText.Contains("no source files", StringComparison.Ordinal))
        {
            Assert.That(built.Exit, Is.Not.Zero);
        }
        Assert.That(result is null ? [] : await FilesAsync(local, name), Is.EqualTo(theirs));
    }

    private static async Task<IReadOnlyList<string>> FilesAsync(LocalEngine local, ImageReference name)
    {
        var id = await local.Engine.CreateContainerAsync(new ContainerSpec(name.ToString()) { Command = ["/none"], Labels = local.Labels });
        var archive = Path.GetTempFileName();
        try
        {
            Assert.That(Run("docker", "export", "--output", archive, id).Exit, Is.Zero);
            var files = new List<string>();
            await using var stream = File.OpenRead(archive);
            using var reader = new TarReader(stream);
            // What the engine itself puts into every container is no content of the image.
            while (await reader.GetNextEntryAsync() is { } entry)
                if (!entry.Name.StartsWith("dev/", StringComparison.Ordinal) && !entry.Name.StartsWith("etc/", StringComparison.Ordinal) && entry.Name is not ("proc/" or "sys/" or ".dockerenv")) files.Add(entry.Name);
            return files;
        }
        finally
        {
            File.Delete(archive);
            await local.Engine.RemoveContainerAsync(id);
        }
    }

    private static (int Exit, string Text) Run(string program, params string[] arguments)
    {
        var (exit, output, error) = ChildProcess.CaptureAsync(program, arguments, "/", new Dictionary<string, string?> { ["DOCKER_BUILDKIT"] = "0" }).GetAwaiter().GetResult();
        return (exit, output + error);
    }

    private IReadOnlyList<string> List() => BuildContext.Open(folder.Path, folder.Of("Dockerfile")).List();

    private async Task<byte[]> TarAsync()
    {
        var memory = new MemoryStream();
        await BuildContext.Open(folder.Path, folder.Of("Dockerfile")).StreamAsync(stream => stream.CopyToAsync(memory));
        return memory.ToArray();
    }
}
