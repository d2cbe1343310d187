using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Store;

/// <summary>Shows a stored object in the version that is asked for.</summary>
internal static class Versions
{
    public static JsonObject Read(ResourceType type, StoredObject stored)
    {
        var obj = stored.Copy();
        if (stored.ApiVersion != type.ApiVersion)
            obj["apiVersion"] = type.ApiVersion;
        return obj;
    }

    public static byte[] ReadUtf8(ResourceType type, StoredObject stored) =>
        stored.ApiVersion == type.ApiVersion ? stored.Utf8 : Read(type, stored).ToUtf8();
}
