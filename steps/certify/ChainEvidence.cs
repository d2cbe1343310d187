using System.Security.Cryptography;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Certify;

/// <summary>What the earlier steps of this very run stated.</summary>
/// <param name="UnitTests">unit-test's hand-over.</param>
/// <param name="Images">image-build's hand-over.</param>
/// <param name="Integration">integration-deploy's hand-over.</param>
/// <param name="Statements">The statement files: step and SHA-256 of the bytes that were read.</param>
internal sealed record ChainEvidence(UnitTestHandOver UnitTests, ImageBuildHandOver Images, IntegrationHandOver Integration,
    IReadOnlyList<(string Step, string Sha256)> Statements)
{
    public static (ChainEvidence? Evidence, Outcome? Refusal) Read(EvidenceStore store, bool requireSigned)
    {
        var found = new Dictionary<string, StepEvidence>(StringComparer.Ordinal);
        var statements = new List<(string, string)>();
        foreach (var step in new[] { "unit-test", "image-build", "integration-deploy" })
        {
            if (!store.TryReadDone(step, out var evidence, out var why))
                return (null, Outcome.Refused("no-evidence", $"nothing is certified without evidence of this very run: {why}; run {step} first"));
            if (evidence.Run.Dirty)
                return (null, Outcome.Refused("dirty", $"\"{step}\" ran on files that are not committed, so it says nothing about the commit; run the chain on a clean checkout"));
            if (requireSigned && !evidence.IsSigned)
                return (null, Outcome.Refused("not-signed", $"the evidence of \"{step}\" has no valid signature and --require-signed is set: give all steps of the chain CISTEPS_SIGNING_KEY, and this one the key to check with"));
            found[step] = evidence;
            statements.Add((step, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(store.FolderOf(step), "statement.json"))))));
        }
        return (new ChainEvidence(
            found["unit-test"].HandOverAs(HandOverJson.Default.UnitTestHandOver) ?? new UnitTestHandOver("", []),
            found["image-build"].HandOverAs(HandOverJson.Default.ImageBuildHandOver) ?? new ImageBuildHandOver([]),
            found["integration-deploy"].HandOverAs(HandOverJson.Default.IntegrationHandOver) ?? new IntegrationHandOver([]), statements), null);
    }

    /// <summary>What the evidence does not show about an image, in a sentence; null when it shows all that the policy asks for.</summary>
    public string? LackOf(BuiltImage image, PipelineDefinition policy)
    {
        if (UnitTests.Components.FirstOrDefault(tested => tested.Component == image.Component) is not { } unit)
            return $"unit-test of this run says nothing about \"{image.Component}\": run it again";
        if (unit.Failed > 0) return $"unit-test counted {unit.Failed} failed tests of \"{image.Component}\"";
        foreach (var suite in policy.Suites.Where(suite => suite.Components.Contains(image.Component)))
        {
            if (Integration.Suites.FirstOrDefault(result => result.Suite == suite.Name) is not { } result)
                return $"the suite \"{suite.Name}\", which \"{image.Component}\" has to pass, did not run: run integration-deploy again";
            if (!result.Succeeded) return $"the suite \"{suite.Name}\" did not pass";
            if (!result.Images.Any(served => served.Component == image.Component && served.Digest == image.Digest))
                return $"the suite \"{suite.Name}\" tested another image of \"{image.Component}\" than {image.Digest}: run integration-deploy again";
        }
        return null;
    }
}
