using System.Text.RegularExpressions;

namespace CiSteps.Layout.Tests;

/// <summary>Who may know whom.</summary>
public sealed partial class A_project
{
    private static readonly string[] Libraries = [
        "Clusters", "Hosting", "Images", "Notifications", "Pipeline", "Reports", "Repositories", "Sandbox", "TeamCity",
        "TestReports", "Testbeds"
    ];

    // A library below the others knows fewer of them.
    private static readonly Dictionary<string, string[]> MayReference = new()
    {
        ["Hosting"] = [],
        ["Clusters"] = ["Hosting"],
        ["Images"] = ["Hosting"],
        ["Repositories"] = ["Hosting"],
        ["TestReports"] = ["Hosting"],
        ["TeamCity"] = ["Hosting"],
        ["Reports"] = ["Hosting"],
        ["Pipeline"] = ["Hosting", "Repositories"],
        ["Notifications"] = ["Hosting", "Pipeline", "Reports"],
        ["Testbeds"] = ["Hosting", "Clusters"],
        ["Sandbox"] = ["Hosting", "Images"],
    };

    private static readonly Dictionary<string, string[]> MayUse = new()
    {
        ["LibGit2Sharp"] = ["Repositories"],
        ["Docker.DotNet.Enhanced"] = ["Images"],
        ["KubernetesClient.Aot"] = ["Clusters", "Testbeds"],
        ["YamlDotNet"] = ["Pipeline", "Clusters", "Sandbox"],
        ["System.CommandLine"] = ["Hosting"],
        ["Polly.Core"] = ["Hosting", "Images", "Clusters", "Testbeds"],
    };

    private static readonly Dictionary<string, string> PackageOf = new()
    {
        ["LibGit2Sharp"] = "LibGit2Sharp",
        ["Docker.DotNet"] = "Docker.DotNet.Enhanced",
        ["k8s"] = "KubernetesClient.Aot",
        ["YamlDotNet"] = "YamlDotNet",
        ["System.CommandLine"] = "System.CommandLine",
        ["Polly"] = "Polly.Core",
    };

    private static IEnumerable<SourceProject> Steps => Source.Steps;

    [Test]
    public void Is_a_library_with_a_place_or_something_to_run()
    {
        Assert.Multiple(() =>
        {
            Assert.That(
                Steps.Where(project => !project.IsExecutable).Select(project => project.Name), Is.EquivalentTo(Libraries));
            Assert.That(Steps.Where(project => project.IsExecutable).Select(project => project.Name), Is.EquivalentTo(new[]
            {
                "unit-test", "image-build", "reserve-testbed", "integration-deploy", "merge", "certify", "promote", "close",
                "testbed-pool", "ci-steps",
            }));
        });
    }

    [TestCaseSource(nameof(Steps))]
    public void Knows_only_what_lies_below_it(object which)
    {
        var project = (SourceProject)which;
        if (MayReference.TryGetValue(project.Name, out var allowed))
            Assert.That(project.References, Is.SubsetOf(allowed));
        else
            // Something to run knows libraries, never another thing to run; what is for people only is not an agent's business.
            Assert.That(
                project.References,
                Is.SubsetOf(Libraries.Where(library => library is not ("Sandbox" or "TeamCity") || project.Name == "ci-steps")));
    }

    [TestCaseSource(nameof(Steps))]
    public void References_a_package_only_where_its_subject_lives(object which)
    {
        var project = (SourceProject)which;
        foreach (var package in project.Packages)
        {
            Assert.That(MayUse, Does.ContainKey(package),
                $"{package} has no place yet: say here which library may use it, and why in steps/README.md");
            Assert.That(MayUse[package], Does.Contain(project.Name));
        }
    }

    [TestCaseSource(nameof(Steps))]
    public void Uses_a_package_only_where_its_subject_lives(object which)
    {
        var project = (SourceProject)which;
        var strangers = project.Sources
            .SelectMany(path => Usings().Matches(Source.Code(path)).Select(match => (path, Space: match.Groups["space"].Value)))
            .Where(
                use => PackageOf.FirstOrDefault(
                    package => use.Space == package.Key
                        || use.Space.StartsWith(package.Key + ".", StringComparison.Ordinal)) is { Value: { } package }
                    && !MayUse[package].Contains(project.Name));
        Assert.That(strangers, Is.Empty);
    }

    [Test]
    public void That_tests_has_the_name_of_what_it_tests_and_a_place_in_the_solution()
    {
        var solution = Source.Text("CiSteps.sln");
        var listed = SolutionProjects().Matches(solution).Select(match => match.Groups["path"].Value.Replace('\\', '/')).ToList();
        Assert.That(listed, Is.EquivalentTo(Source.Projects.Select(project => project.Path)));
        Assert.That(
            Source.Projects
                .Select(project => $"{project.Folder}/packages.lock.json")
                .Where(path => !File.Exists(Path.Combine(Source.Root, path))),
            Is.Empty,
            "each has its lock file");
    }

    [GeneratedRegex(@"^\s*(?:global\s+)?using\s+(?:static\s+)?(?:\w+\s*=\s*)?(?<space>[\w.]+)\s*;", RegexOptions.Multiline)]
    private static partial Regex Usings();

    [GeneratedRegex("^Project\\(\"[^\"]*\"\\) = \"[^\"]*\", \"(?<path>[^\"]*\\.csproj)\"", RegexOptions.Multiline)]
    private static partial Regex SolutionProjects();
}
