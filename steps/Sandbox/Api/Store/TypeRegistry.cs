namespace CiSteps.Sandbox.Api.Store;

/// <summary>Which kinds the cluster serves: the built-in ones and those of its CustomResourceDefinitions.</summary>
internal sealed class TypeRegistry
{
    private static readonly IReadOnlyList<ResourceType> BuiltIn = Kinds.All;

    private volatile Snapshot current = new([]);

    /// <summary>Grows with each change, so that cached discovery and OpenAPI documents know when to be made anew.</summary>
    public long Generation { get; private set; }

    public IReadOnlyList<ResourceType> All => current.All;

    /// <summary>Whether Kubernetes itself brings this version of the group, rather than a definition.</summary>
    public static bool IsBuiltIn(string group, string version) => BuiltIn.Any(t => t.Group == group && t.Version == version);

    public ResourceType? Find(string group, string version, string plural) =>
        current.ByUrl.GetValueOrDefault((group, version, plural));

    /// <summary>The kind in any version.</summary>
    public ResourceType? FindStored(string storageKey) => current.ByStorageKey.GetValueOrDefault(storageKey);

    public void SetCustom(IEnumerable<ResourceType> custom)
    {
        current = new Snapshot([.. custom]);
        Generation++;
    }

    private sealed class Snapshot
    {
        public Snapshot(IReadOnlyList<ResourceType> custom)
        {
            All = [.. BuiltIn, .. custom];
            ByUrl = All.ToDictionary(t => (t.Group, t.Version, t.Plural));
            ByStorageKey = All.GroupBy(t => t.StorageKey).ToDictionary(g => g.Key, g => g.First());
        }

        public IReadOnlyList<ResourceType> All { get; }
        public Dictionary<(string, string, string), ResourceType> ByUrl { get; }
        public Dictionary<string, ResourceType> ByStorageKey { get; }
    }
}
