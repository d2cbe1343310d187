using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;

namespace CiSteps.Merge;

/// <summary>What the chain's steps stated about the commit, and whether that is enough to merge.</summary>
/// <param name="UnitTests">unit-test's hand-over.</param>
/// <param name="Images">image-build's hand-over.</param>
/// <param name="Integration">integration-deploy's hand-over.</param>
internal sealed record ChainEvidence(UnitTestHandOver UnitTests, ImageBuildHandOver Images, IntegrationHandOver Integration)
{
    /// <summary>Reads the evidence; the refusal when some is missing, failed, or of a dirty work tree.</summary>
    public static (ChainEvidence? Evidence, Outcome? Refusal) Read(EvidenceStore store)
    {
        var statements = new Dictionary<string, StepEvidence>(StringComparer.Ordinal);
        foreach (var step in new[] { "unit-test", "image-build", "integration-deploy" })
        {
            if (!store.TryReadDone(step, out var evidence, out var why))
                return (null, Outcome.Refused("no-evidence", $"nothing is merged without evidence that it passed: {why}; run {step} for this commit first"));
            if (evidence.Run.Dirty)
                return (null, Outcome.Refused("dirty", $"\"{step}\" ran on files that are not committed, so it says nothing about the commit; commit them and run the chain"));
            statements[step] = evidence;
        }
        return (new ChainEvidence(
            statements["unit-test"].HandOverAs(HandOverJson.Default.UnitTestHandOver) ?? new UnitTestHandOver("", []),
            statements["image-build"].HandOverAs(HandOverJson.Default.ImageBuildHandOver) ?? new ImageBuildHandOver([]),
            statements["integration-deploy"].HandOverAs(HandOverJson.Default.IntegrationHandOver) ?? new IntegrationHandOver([])), null);
    }

    /// <summary>What the target branch's pipeline file asks for and the evidence does not show; null when it shows all.</summary>
    public string? Lack(PipelineDefinition policy)
    {
        foreach (var tested in UnitTests.Components)
            if (tested.Failed > 0) return $"unit-test counted {tested.Failed} failed tests of component \"{tested.Component}\"";
        foreach (var result in Integration.Suites)
            if (!result.Succeeded) return $"suite \"{result.Suite}\" did not pass";
        foreach (var image in Images.Images.Where(image => image.Built))
            foreach (var suite in policy.Suites.Where(suite => suite.Components.Contains(image.Component)))
            {
                var result = Integration.Suites.FirstOrDefault(result => result.Suite == suite.Name);
                if (result is null) return $"suite \"{suite.Name}\", which component \"{image.Component}\" has to pass, did not run";
                if (!result.Images.Any(deployed => deployed.Component == image.Component && deployed.Digest == image.Digest))
                    return $"suite \"{suite.Name}\" ran with another image of \"{image.Component}\" than {image.Digest} that image-build made";
            }
        return null;
    }

    /// <summary>The evidence in a few words, for the merge commit.</summary>
    public string Summary
    {
        get
        {
            var parts = new List<string> { $"unit-test {UnitTests.Components.Sum(component => component.Passed)} passed" };
            parts.AddRange(Integration.Suites.Select(suite => $"{suite.Suite} {suite.Passed} passed"));
            return string.Join(", ", parts);
        }
    }
}
