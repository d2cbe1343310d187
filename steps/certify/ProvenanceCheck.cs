using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;

namespace CiSteps.Certify;

/// <summary>Whether what is attached to an image says, under the known key, that it was built from the commit.</summary>
internal static class ProvenanceCheck
{
    /// <summary>
    /// What is lacking, in a sentence; null when nothing is. Where a registry takes no artifacts none is attached: then
    /// image-build's signed evidence, which says the same, has to do.
    /// </summary>
    public static string? LackOf(ImageReference image, string commit, IReadOnlyList<Attestation> attached)
    {
        if (attached.Count == 0 || attached.Any(one => one.IsSigned && Speaks(one.Statement, image.Digest!, commit))) return null;
        return attached.Any(one => one.IsSigned)
            ? $"the signed provenance beside \"{image}\" is of another image or another commit than {ShortId.Of(commit)}: " +
                "run image-build again with a new build number"
            : $"the provenance beside \"{image}\" has no valid signature and --require-signed is set: " +
                "run image-build again with CISTEPS_SIGNING_KEY and a new build number, and give this step the key to check with";
    }

    private static bool Speaks(JsonObject statement, string digest, string commit)
    {
        var image = Subject.Image("", digest);
        return Items(statement["subject"]).Any(subject => Is(subject["digest"]?[image.Algorithm], image.Digest))
            && Items(
                statement["predicate"]?["buildDefinition"]?["resolvedDependencies"]).Any(
                    material => Is(material["digest"]?["gitCommit"], commit));
    }

    private static IEnumerable<JsonObject> Items(JsonNode? node) => (node as JsonArray ?? []).OfType<JsonObject>();

    private static bool Is(JsonNode? node, string text) =>
        node is JsonValue value && value.TryGetValue(out string? found) && found == text;
}
