using System.Diagnostics;
using System.Formats.Tar;
using System.Net.Sockets;
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
    public async Task Sends_content_permissions_times_and_links_in_the_order_of_names()
    {
        folder.Write("b/two", "2");
        folder.Write("b.txt", "text");
        folder.Write("a", "1");
        File.SetUnixFileMode(folder.Of("a"), (UnixFileMode)0b101_111_101_101);
        File.SetLastWriteTimeUtc(folder.Of("a"), new DateTime(2001, 2, 3, 4, 5, 6, 789, DateTimeKind.Utc));
        File.CreateSymbolicLink(folder.Of("link"), "b/two");
        var first = await TarAsync();
        Assert.That(await TarAsync(), Is.EqualTo(first));
        var entries = await EntriesAsync(first);
        Assert.That(entries.Select(entry => entry.Name),
            Is.EqualTo(new[] { "Dockerfile", "a", "b/", "b/two", "b.txt", "link" }).AsCollection);
        Assert.That(entries.Select(entry => (entry.Uid, entry.Gid)), Has.All.EqualTo((0, 0)));
        Assert.That((entries[1].EntryType, entries[1].Mode, Text(entries[1])),
            Is.EqualTo((TarEntryType.RegularFile, (UnixFileMode)0b101_111_101_101, "1")));
        Assert.That(entries[1].ModificationTime, Is.EqualTo(new DateTimeOffset(2001, 2, 3, 4, 5, 6, TimeSpan.Zero)));
        Assert.That((entries[5].EntryType, entries[5].LinkName), Is.EqualTo((TarEntryType.SymbolicLink, "b/two")));
    }

    [Test]
    public async Task Says_what_the_plain_header_cannot()
    {
        var deep = string.Join('/', Enumerable.Repeat(new string('d', 60), 4)) + "/" + new string('n', 200);
        var names = new[]
        {
            deep, new string('e', 100), new string('f', 101), "grüß", "line\nend", "back\\slash", "tab\t\"", "\uFFFD", "😀", "ﬀ",
        };
        foreach (var name in names) folder.Write(name, name);
        folder.MakeFolder("empty");
        File.CreateSymbolicLink(folder.Of("far"), new string('t', 300) + "ü");
        Link("f" + new string('f', 100), "last");
        File.SetLastWriteTimeUtc(folder.Of("grüß"), new DateTime(1969, 12, 31, 23, 59, 50, DateTimeKind.Utc));
        var entries = (await EntriesAsync(await TarAsync())).ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        foreach (var name in names) Assert.That(Text(entries[name]), Is.EqualTo(name));
        Assert.That(entries.Keys, Does.Contain("empty/"));
        Assert.That(entries["far"].LinkName, Is.EqualTo(new string('t', 300) + "ü"));
        Assert.That((entries["last"].EntryType, entries["last"].LinkName),
            Is.EqualTo((TarEntryType.HardLink, new string('f', 101))));
        Assert.That(entries["grüß"].ModificationTime.ToUnixTimeSeconds(), Is.EqualTo(-10));
    }

    [Test]
    public async Task The_first_name_that_is_sent_has_the_content_and_the_others_are_links_to_it()
    {
        folder.Write("a", "content");
        Link("a", "b");
        folder.MakeFolder("sub");
        Link("a", "sub/c");
        var entries = await EntriesAsync(await TarAsync());
        Assert.That(HardLinks(entries), Is.EqualTo(new[] { ("b", "a"), ("sub/c", "a") }).AsCollection);
        folder.Write(".dockerignore", "a\n");
        entries = await EntriesAsync(await TarAsync());
        Assert.That(Text(entries.Single(entry => entry.Name == "b")), Is.EqualTo("content"));
        Assert.That(HardLinks(entries), Is.EqualTo(new[] { ("sub/c", "b") }).AsCollection);
    }

    [TestCase("grew", TestName = "A_file_that_grows_while_it_is_packed_ends_the_stream_with_its_name")]
    [TestCase("shrank", TestName = "A_file_that_shrinks_while_it_is_packed_ends_the_stream_with_its_name")]
    [TestCase("was written to", TestName = "A_file_that_is_written_to_while_it_is_packed_ends_the_stream_with_its_name")]
    [TestCase("was replaced", TestName = "A_file_that_is_replaced_while_it_is_packed_ends_the_stream_with_its_name")]
    [TestCase("vanished", TestName = "A_file_that_vanishes_before_it_is_packed_ends_the_stream_with_its_name")]
    [TestCase("was added", TestName = "A_file_that_comes_while_the_context_is_packed_ends_the_stream_with_its_name")]
    public async Task A_file_that_changes_ends_the_stream(string change)
    {
        var path = PlantForChange(change);
        var endedWell = false;
        var failure = await Assert.ThrowsAsync<UsageException>(() => Context().StreamAsync(async stream =>
        {
            await new ChangingStream(stream, () => Change(change, path)).CopyToAsync(Stream.Null);
            endedWell = true;
        }));
        Assert.That(failure!.Message, Does.Contain($"\"{path}\" of the build context {change}").And.Contain(".dockerignore"));
        Assert.That(endedWell, Is.False);
        // The next one, with nobody in between, is whole.
        Assert.That((await EntriesAsync(await TarAsync())).Count, Is.GreaterThan(1));
    }

    [Test]
    public async Task A_pipe_that_takes_a_files_place_is_not_waited_for()
    {
        folder.Write("large", new string('x', 8 << 20));
        folder.Write("next", "content");
        var failure = await Assert.ThrowsAsync<UsageException>(
            () => Context().StreamAsync(stream => new ChangingStream(stream, () =>
            {
                File.Delete(folder.Of("next"));
                Assert.That(Run("mkfifo", folder.Of("next")).Exit, Is.Zero);
            }).CopyToAsync(Stream.Null)));
        Assert.That(failure!.Message, Does.Contain("\"next\" of the build context was replaced"));
    }

    [Category("NeedsDocker")]
    [TestCase("grew")]
    [TestCase("shrank")]
    [TestCase("was added")]
    public async Task The_engine_builds_nothing_of_a_context_that_changed(string change)
    {
        folder.Write("Dockerfile", "FROM scratch\nCOPY . /\n");
        var path = PlantForChange(change);
        await using var local = await LocalEngine.OpenAsync();
        var name = ImageReference.Parse($"localhost/cisteps-test-{local.Id}:changed");
        local.Own(name.ToString());
        var lines = new List<string>();
        var context = Context();
        var build = new EngineBuild(context.Dockerfile) { Name = name };
        var failure = await Assert.ThrowsAsync<UsageException>(() => context.StreamAsync(stream =>
            local.Engine.BuildAsync(build, new ChangingStream(stream, () => Change(change, path)), lines.Add)));
        Assert.That(failure!.Message, Does.Contain($"\"{path}\" of the build context {change}"));
        Assert.That(lines, Is.Empty);
        Assert.That(await local.Engine.InspectImageAsync(name.ToString()), Is.Null);
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
            await BuildContext
                .Open(folder.Path, folder.Of("Dockerfile"))
                .StreamAsync(_ => throw new InvalidOperationException("no more"));
        }, Throws.InvalidOperationException.With.Message.EqualTo("no more"));

    [Test]
    public void Never_takes_the_chains_own_folder_along()
    {
        folder.Write(".ci-steps/evidence/x", "x");
        folder.Write(".dockerignore", "!.ci-steps\n");
        Assert.That(List(), Has.None.StartsWith(".ci-steps"));
    }

    [Test]
    public async Task What_no_image_can_hold_is_refused_by_name_before_anything_is_sent()
    {
        Assert.That(Run("mkfifo", folder.Of("pipe")).Exit, Is.Zero);
        folder.MakeFolder("run");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(folder.Of("run/app.sock")));
        var isRead = false;
        var failure = await Assert.ThrowsAsync<UsageException>(() => Context().StreamAsync(_ =>
        {
            isRead = true;
            return Task.CompletedTask;
        }));
        Assert.That(failure!.Message, Does.Contain("\"pipe\" is a named pipe").And.Contain("\"run/app.sock\" is a socket"));
        Assert.That(isRead, Is.False);
        folder.Write(".dockerignore", "pipe\n**/*.sock\n");
        Assert.That(List(), Is.EqualTo(new[] { ".dockerignore", "Dockerfile", "run/" }).AsCollection);
    }

    [TestCase(".wh.file")]
    [TestCase("sub/.wh..wh..opq")]
    [TestCase("sub/.wh.folder/file")]
    public void A_name_that_means_a_deletion_in_a_layer_is_refused(string path)
    {
        folder.Write(path, "x");
        var named = path.Replace("/file", "", StringComparison.Ordinal);
        Assert.That(Assert.Throws<UsageException>(() => List())!.Message, Does.Contain($"\"{named}\" is a name by which layers"));
        folder.Write(".dockerignore", "**/.wh.*\n");
        Assert.That(List(), Has.None.Contains(".wh."));
        folder.Write("file.wh.x", "x");
        Assert.That(List(), Has.Member("file.wh.x"));
    }

    [TestCase("Dockerfile")]
    [TestCase(".dockerignore")]
    public void A_pipe_where_a_text_has_to_be_is_refused_and_not_waited_for(string name)
    {
        File.Delete(folder.Of(name));
        Assert.That(Run("mkfifo", folder.Of(name)).Exit, Is.Zero);
        Assert.That(Assert.Throws<UsageException>(() => Context())!.Message,
            Does.Contain(name).And.Contain("not a file that can be read"));
    }

    [Test]
    public void A_name_that_is_not_utf8_is_refused_and_not_mangled()
    {
        Assert.That(Run("sh", "-c", $"printf x > \"$(printf '{folder.Path}/caf\\351')\"").Exit, Is.Zero);
        Assert.That(Assert.Throws<UsageException>(() => List())!.Message,
            Does.Contain("\"caf\uFFFD\" in the build context is not UTF-8"));
        // Nor is it taken for the file that is really called so.
        folder.Write("caf\uFFFD", "x");
        Assert.That(() => List(), Throws.TypeOf<UsageException>());
        folder.Write(".dockerignore", "caf?\n");
        Assert.That(List(), Is.EqualTo(new[] { ".dockerignore", "Dockerfile" }).AsCollection);
        // The library that clears up cannot name it.
        Run("sh", "-c", $"rm '{folder.Path}'/caf*");
    }

    [Test]
    public void A_link_to_a_name_that_is_not_utf8_is_refused_and_not_mangled()
    {
        Assert.That(Run("sh", "-c", $"ln -s \"$(printf 'caf\\351')\" '{folder.Path}/link'").Exit, Is.Zero);
        Assert.That(Assert.Throws<UsageException>(() => List())!.Message, Does.Contain("\"link\"").And.Contain("not UTF-8"));
        folder.Write(".dockerignore", "link\n");
        Assert.That(List(), Has.None.EqualTo("link"));
    }

    [Test]
    public async Task A_context_and_a_dockerfile_behind_symbolic_links_are_what_they_lead_to()
    {
        folder.Write("app/docker/Dockerfile.production", "FROM scratch\n");
        folder.Write("app/file", "x");
        Directory.CreateSymbolicLink(folder.Of("link"), "app");
        File.CreateSymbolicLink(folder.Of("app/Dockerfile"), "docker/Dockerfile.production");
        var pairs = new[] { ("link", "app/Dockerfile"), ("app", "link/Dockerfile"), ("link", "link/Dockerfile") };
        foreach (var (context, dockerfile) in pairs)
        {
            var opened = BuildContext.Open(folder.Of(context), folder.Of(dockerfile));
            Assert.That(opened.Dockerfile, Is.EqualTo("docker/Dockerfile.production"));
            Assert.That((await EntriesAsync(await TarAsync(opened))).Select(entry => entry.Name),
                Is.EqualTo(new[] { "Dockerfile", "docker/", "docker/Dockerfile.production", "file" }).AsCollection);
        }
    }

    [Test]
    public void A_folder_for_a_builder_has_the_dockerfile_apart_and_an_ignore_file_that_hides_it_and_the_chains_own()
    {
        folder.Write(".dockerignore", "Dockerfile\n #odd\n!.ci-steps");
        folder.Write("a", "x");
        using var opened = Context().OpenFolder();
        Assert.That(opened.Folder, Is.EqualTo(folder.Path));
        Assert.That(opened.Dockerfile, Does.Not.StartWith(folder.Path).And.EndWith("/Dockerfile"));
        Assert.That(File.ReadAllText(opened.Dockerfile), Is.EqualTo("FROM scratch\n"));
        Assert.That(File.ReadAllText(opened.Dockerfile + ".dockerignore"),
            Is.EqualTo("Dockerfile\n #odd\n!.ci-steps\n.ci-steps\n"));
        Assert.That(opened.RequireUnchanged, Throws.Nothing);
        folder.Write("a", "xy");
        Assert.That(opened.RequireUnchanged,
            Throws.TypeOf<UsageException>().With.Message.Contains("\"a\" of the build context grew"));
    }

    [Test]
    public void What_was_seen_ahead_is_what_counts()
    {
        folder.Write("a", "x");
        var ahead = Context();
        ahead.LookAhead();
        folder.Write("a", "xy");
        using var opened = ahead.OpenFolder();
        Assert.That(opened.RequireUnchanged,
            Throws.TypeOf<UsageException>().With.Message.Contains("\"a\" of the build context grew"));
        Assert.That(() => TarAsync(ahead),
            Throws.TypeOf<UsageException>().With.Message.Contains("\"a\" of the build context grew"));
    }

    [Test]
    public async Task Says_what_is_missing()
    {
        Assert.That(
            Assert.Throws<UsageException>(() => BuildContext.Open(folder.Of("none"), folder.Of("Dockerfile")))!.Message,
            Does.Contain("none"));
        Assert.That(
            Assert.Throws<UsageException>(() => BuildContext.Open(folder.Path, folder.Of("Containerfile")))!.Message,
            Does.Contain("Containerfile"));
        folder.Write(".dockerignore", "[a\n");
        Assert.That(
            Assert.Throws<UsageException>(() => BuildContext.Open(folder.Path, folder.Of("Dockerfile")))!.Message,
            Does.Contain("[a"));
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
        Assert.That(
            BuildContext.Open(folder.Path, folder.Of("docker/Dockerfile")).List(), Does.Contain("two").And.Not.Contain("one"));
        Assert.That(BuildContext.Open(folder.Path, folder.Of("Dockerfile")).List(), Does.Contain("one").And.Not.Contain("two"));
    }

    [Test]
    public async Task A_dockerfile_outside_of_the_context_goes_along_under_a_name_of_its_own()
    {
        folder.Write("app/file", "x");
        var context = BuildContext.Open(folder.Of("app"), folder.Of("Dockerfile"));
        Assert.That(context.Dockerfile, Does.StartWith(".dockerfile."));
        Assert.That(
            Encoding.UTF8.GetString(await TarAsync(context)), Does.Contain(context.Dockerfile).And.Contain("FROM scratch"));
    }

    /// <summary>
    /// Each ignore file here is given to the engine's own client as well; the image that it builds says what it sent.
    /// </summary>
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
        foreach (var path in new[] {
            "a.txt", "b.txt", "a+b(c).txt", "other/a.txt", "sub/keep.md", "sub/a.txt", "sub/inner/deep.txt",
            "sub/inner/more/deep.txt", "sub/inner/x"
        })
            folder.Write(path, path);
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
            await context.StreamAsync(
                async stream => result = await local.Engine.BuildAsync(
                    new EngineBuild(context.Dockerfile) { Name = name }, stream, _ => { }));
        }
        catch (ImageBuildException failure) when (failure.EngineText.Contains("no source files", StringComparison.Ordinal))
        {
            Assert.That(built.Exit, Is.Not.Zero);
        }
        Assert.That(result is null ? [] : await FilesAsync(local, name), Is.EqualTo(theirs));
    }

    private static async Task<IReadOnlyList<string>> FilesAsync(LocalEngine local, ImageReference name)
    {
        var id = await local.Engine.CreateContainerAsync(new ContainerSpec(name.ToString())
        {
            Command = ["/none"],
            Labels = local.Labels
        });
        var archive = Path.GetTempFileName();
        try
        {
            Assert.That(Run("docker", "export", "--output", archive, id).Exit, Is.Zero);
            var files = new List<string>();
            await using var stream = File.OpenRead(archive);
            using var reader = new TarReader(stream);
            // What the engine itself puts into every container is not content of the image.
            while (await reader.GetNextEntryAsync() is { } entry)
                if (!entry.Name.StartsWith("dev/", StringComparison.Ordinal)
                    && !entry.Name.StartsWith("etc/", StringComparison.Ordinal)
                    && entry.Name is not ("proc/" or "sys/" or ".dockerenv"))
                    files.Add(entry.Name);
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
        var (exit, output, error) = ChildProcess.CaptureAsync(new(program, arguments, "/")
        {
            Environment = new Dictionary<string, string?> { ["DOCKER_BUILDKIT"] = "0" },
        }).GetAwaiter().GetResult();
        return (exit, output + error);
    }

    private BuildContext Context() => BuildContext.Open(folder.Path, folder.Of("Dockerfile"));

    private IReadOnlyList<string> List() => Context().List();

    private void Link(string from, string to) => Assert.That(Run("ln", folder.Of(from), folder.Of(to)).Exit, Is.Zero);

    // The change comes while "large" is on its way, which no buffer holds as a whole; what follows it has not been looked at
    // again yet.
    private string PlantForChange(string change)
    {
        folder.Write("large", new string('x', 16 << 20));
        folder.Write("later", "content");
        return change switch { "vanished" => "later", "was added" => "new", _ => "large" };
    }

    private void Change(string change, string path)
    {
        var whole = folder.Of(path);
        switch (change)
        {
            case "grew":
                File.AppendAllText(whole, "more");
                break;
            case "shrank":
                using (var file = File.OpenWrite(whole)) file.SetLength(1 << 20);
                break;
            case "was written to":
                var time = File.GetLastWriteTimeUtc(whole);
                using (var file = File.OpenWrite(whole)) file.Write("other"u8);
                File.SetLastWriteTimeUtc(whole, time);
                break;
            case "was replaced":
                File.Copy(whole, whole + "~");
                File.Move(whole + "~", whole, overwrite: true);
                break;
            case "vanished":
                File.Delete(whole);
                break;
            default:
                File.WriteAllText(whole, "x");
                break;
        }
    }

    private async Task<byte[]> TarAsync(BuildContext? context = null)
    {
        var memory = new MemoryStream();
        await (context ?? Context()).StreamAsync(stream => stream.CopyToAsync(memory));
        return memory.ToArray();
    }

    private static async Task<IReadOnlyList<TarEntry>> EntriesAsync(byte[] archive)
    {
        using var reader = new TarReader(new MemoryStream(archive));
        var entries = new List<TarEntry>();
        while (await reader.GetNextEntryAsync(copyData: true) is { } entry) entries.Add(entry);
        return entries;
    }

    private static IEnumerable<(string Name, string To)> HardLinks(IEnumerable<TarEntry> entries) =>
        entries.Where(entry => entry.EntryType == TarEntryType.HardLink).Select(entry => (entry.Name, entry.LinkName));

    private static string Text(TarEntry entry)
    {
        if (entry.DataStream is not { } data) return "";
        data.Position = 0;
        return new StreamReader(data).ReadToEnd();
    }

    /// <summary>A stream that has something done once, when its first bytes have been read.</summary>
    private sealed class ChangingStream(Stream inner, Action change) : Stream
    {
        private bool isDone;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            if (!isDone) change();
            isDone = true;
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) =>
            ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
