using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Patching;

/// <summary>RFC 7386.</summary>
internal static class MergePatch
{
    public static void Apply(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is null)
                target.Remove(name);
            else if (value is JsonObject change)
            {
                if (target[name] is not JsonObject inner)
                    target[name] = inner = new JsonObject();
                Apply(inner, change);
            }
            else
                target[name] = value.DeepClone();
        }
    }
}
