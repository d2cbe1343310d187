using BenchmarkDotNet.Attributes;

namespace CiSteps.Benchmarks;

/// <summary>A published executable from start to end, against kubectl: what every step of a chain pays first.</summary>
public class StartUp
{
    /// <summary>The tool a user knows.</summary>
    [Benchmark(Baseline = true, Description = "kubectl version --client")]
    public int Kubectl() => Programs.Run("kubectl", "version", "--client");

    /// <summary>A step that links git only.</summary>
    [Benchmark(Description = "merge --version")]
    public int Merge() => Programs.Run(Programs.Published("merge"), "--version");

    /// <summary>The step that links everything.</summary>
    [Benchmark(Description = "integration-deploy --version")]
    public int IntegrationDeploy() => Programs.Run(Programs.Published("integration-deploy"), "--version");
}
