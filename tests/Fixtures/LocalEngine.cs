using System.Formats.Tar;
using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.Fixtures;

/// <summary>
/// The machine's container engine for a test, and what the test left on it: everything made through here carries one label and is
/// removed at the end.
/// </summary>
public sealed class LocalEngine : IAsyncDisposable
{
    /// <summary>Label of everything that a test makes; its value is the fixture's own id.</summary>
    public const string Label = "dev.cisteps.test";

    private readonly List<string> images = [];
    private readonly List<string> registries = [];

    private LocalEngine(ContainerEngine engine) => Engine = engine;

    /// <summary>The engine.</summary>
    public ContainerEngine Engine { get; }

    /// <summary>This fixture's own id, for names that must be unique on the engine.</summary>
    public string Id { get; } = Guid.NewGuid().ToString("n")[..12];

    /// <summary>The label to put on containers and networks, so that they are removed at the end.</summary>
    public IReadOnlyDictionary<string, string> Labels => new Dictionary<string, string> { [Label] = Id };

    /// <summary>The variables by which a process with an environment of the test's own finds the same engine.</summary>
    public static IReadOnlyDictionary<string, string> Variables { get; } = EngineLocation.Find(
        StepHost.ProcessEnvironment()).ClientEnvironment
        .Where(pair => pair.Value is not null).ToDictionary(pair => pair.Key, pair => pair.Value!, StringComparer.Ordinal);

    /// <summary>Connects; a machine without an engine fails the test.</summary>
    public static async Task<LocalEngine> OpenAsync() => new(await ContainerEngine.ConnectAsync());

    /// <summary>Makes an image with a shell and the usual tools (Debian's busybox-static) at <c>/bin</c>.</summary>
    /// <param name="repository">Repository; null: a name of the fixture's own.</param>
    /// <param name="tag">Its tag.</param>
    /// <returns>Its reference.</returns>
    public async Task<ImageReference> MakeBaseImageAsync(string? repository = null, string tag = "1")
    {
        var reference = ImageReference.Of(repository ?? $"localhost/cisteps-test-{Id}", tag);
        using var archive = BaseFileSystem();
        await Engine.ImportImageAsync(archive, reference, ["ENV PATH=/bin", "CMD [\"/bin/sh\"]"]);
        Own(reference.ToString());
        return reference;
    }

    /// <summary>Pushes an image and reads back from the registry what it is there.</summary>
    /// <returns>Its digest.</returns>
    public async Task<string> PushAsync(ImageReference name, RegistryCredential? credential = null)
    {
        await Engine.PushAsync(name, credential);
        using var registry = RegistryClient.Open(new RegistryCredentials(
            credential, [name.Host], new Dictionary<string, string>()));
        return await registry.FindDigestAsync(name) ?? throw new InvalidOperationException($"the registry does not have {name}");
    }

    /// <summary>Has an image removed at the end.</summary>
    public void Own(string reference)
    {
        lock (images) images.Add(reference);
    }

    /// <summary>Has all images of a registry of the test's own removed at the end, whoever built or pulled them.</summary>
    public void OwnAllOf(LocalRegistry registry) => registries.Add(registry.Host + "/");

    /// <summary>Removes what the test made.</summary>
    public async ValueTask DisposeAsync()
    {
        var mine = new Dictionary<string, string?> { [Label] = Id };
        foreach (var container in await Engine.ListContainersAsync(mine)) await Engine.RemoveContainerAsync(container.Id);
        foreach (var network in await Engine.ListNetworksAsync(mine)) await Engine.RemoveNetworkAsync(network.Id);
        foreach (var (_, tags, _) in await Engine.ListImagesAsync(new Dictionary<string, string?>()))
            foreach (var tag in tags.Where(tag => registries.Exists(host => tag.StartsWith(host, StringComparison.Ordinal))))
                await Engine.RemoveImageAsync(tag, force: true);
        foreach (var image in Enumerable.Reverse(images)) await Engine.RemoveImageAsync(image, force: true);
        Engine.Dispose();
    }

    // A file system of one static executable under all of its names.
    private static MemoryStream BaseFileSystem()
    {
        const string busybox = "/bin/busybox";
        if (!File.Exists(busybox)) throw new InvalidOperationException($"{busybox} is missing: install busybox-static");
        var memory = new MemoryStream();
        using (var tar = new TarWriter(memory, TarEntryFormat.Pax, leaveOpen: true))
        {
            void Folder(string name, UnixFileMode mode) => tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, name)
            {
                Mode = mode,
                ModificationTime = DateTimeOffset.UnixEpoch,
            });
            const UnixFileMode open = (UnixFileMode)0b111_101_101;
            foreach (var folder in new[] { "bin/", "etc/", "proc/", "sys/", "dev/", "root/", "usr/", "usr/bin/", "var/" })
                Folder(folder, open);
            Folder("tmp/", (UnixFileMode)0b1_111_111_111);
            using (var program = File.OpenRead(busybox))
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "bin/busybox")
                {
                    Mode = open,
                    DataStream = program,
                    ModificationTime = DateTimeOffset.UnixEpoch
                });
            foreach (var name in ("sh ash cat cp date dd echo env false grep head httpd hostname id ip kill ls mkdir mv " +
                "nc nslookup ping printf ps pwd rm sed seq sleep stat sync tail tar tee test touch tr trap true uname wc wget " +
                "which whoami xargs yes awk base64 chmod chown cut find ln md5sum od sha256sum sort timeout uniq").Split(' '))
                tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "bin/" + name)
                {
                    LinkName = "busybox",
                    ModificationTime = DateTimeOffset.UnixEpoch
                });
            foreach (var (name, text) in new[]
            {
                ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
                ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
            })
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name)
                {
                    Mode = (UnixFileMode)0b110_100_100,
                    ModificationTime = DateTimeOffset.UnixEpoch,
                    DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)),
                });
            }
        }
        memory.Position = 0;
        return memory;
    }
}
