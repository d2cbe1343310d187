using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using CiSteps.Sandbox.Api.Store;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>The rest of lists that are read in pages: each page shows the state of the first one.</summary>
internal sealed class Pages(TimeProvider time)
{
    private const int Kept = 256;
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private readonly Lock gate = new();
    private readonly Dictionary<string, Snapshot> snapshots = [];

    public sealed record Snapshot(IReadOnlyList<StoredObject> Items, long Revision, DateTimeOffset Made);

    /// <summary>A token for the rest of a list that begins at an offset.</summary>
    public string Keep(Snapshot snapshot, string? id, int offset)
    {
        lock (gate)
        {
            id ??= Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
            snapshots[id] = snapshot;
            while (snapshots.Count > Kept || snapshots.Values.Any(s => s.Made + Life < time.GetUtcNow()))
                snapshots.Remove(snapshots.MinBy(s => s.Value.Made).Key);
        }
        return Base64Url.EncodeToString(Encoding.ASCII.GetBytes($"{id}:{offset}"));
    }

    /// <summary>The list that a token belongs to; 410 when it is no longer kept, 400 when it never was one.</summary>
    public (string Id, Snapshot Snapshot, int Offset) Find(string token)
    {
        string[] parts;
        try
        {
            parts = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(token)).Split(':');
        }
        catch (FormatException)
        {
            throw ApiException.BadRequest("continue key is not valid: illegal base64 data");
        }
        if (parts.Length != 2 || !int.TryParse(parts[1], out var offset))
            throw ApiException.BadRequest("continue key is not valid: incorrect encoded start key");
        lock (gate)
        {
            if (snapshots.TryGetValue(parts[0], out var snapshot) && snapshot.Made + Life >= time.GetUtcNow())
                return (parts[0], snapshot, offset);
        }
        throw ApiException.Expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a new list without " +
            "the continue parameter.");
    }
}
