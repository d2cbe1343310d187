using System.Text.Json;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Reads amounts that may be absent or wrong.</summary>
internal static class Amount
{
    /// <summary>The amount, or null where there is none or the text is not an amount.</summary>
    public static decimal? Of(JsonNode? node)
    {
        var text = node is JsonValue value && value.GetValueKind() == JsonValueKind.Number ? node.ToJsonString() : node.Str();
        return Quantity.TryParse(text, out var amount) ? amount : null;
    }
}
