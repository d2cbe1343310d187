using System.Text.RegularExpressions;

namespace CiSteps.Layout.Tests;

/// <summary>The one way a step is written.</summary>
public sealed partial class A_step
{
    private static IEnumerable<string> Executables =>
        Source.Steps.Where(project => project.IsExecutable).Select(project => project.Name);

    private static readonly string[] OfTheChain = [
        "unit-test", "image-build", "reserve-testbed", "integration-deploy", "merge", "certify", "promote", "close"
    ];

    [TestCaseSource(nameof(Executables))]
    public void Starts_with_one_statement(string name)
    {
        var code = Source.Code($"steps/{name}/Program.cs");
        Assert.That(Usings().Replace(code, "").Trim(), Does.Match(@"^return [^;{}]*\bRunAsync\([^;{}]*;$"));
    }

    [TestCaseSource(nameof(OfTheChain))]
    public void Has_its_command_its_work_and_its_judgement_each_in_a_file(string name)
    {
        var type = string.Concat(name.Split('-').Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
        foreach (var role in new[] { "Command", "Step" })
            Assert.That(Path.Combine(Source.Root, $"steps/{name}/{type}{role}.cs"), Does.Exist);
        // Named for what is decided: MergePlan, PromotionPlan.
        Assert.That(Source.Files($"steps/{name}", "Plan.cs").ToList(), Has.Count.EqualTo(1));
    }

    [TestCaseSource(nameof(OfTheChain))]
    public void Judges_without_waiting_without_a_clock_and_without_a_log(string name)
    {
        var plan = Source.Files($"steps/{name}", "Plan.cs").SelectMany(path => Source.Places(path, Impure()));
        Assert.That(plan, Is.Empty);
    }

    [TestCaseSource(nameof(Executables))]
    public void Is_an_assembly_of_its_own_name(string name)
    {
        var project = Source.Steps.Single(one => one.Name == name);
        Assert.That(Source.Text(project.Path), Does.Contain($"<AssemblyName>{name}</AssemblyName>"));
    }

    [GeneratedRegex(@"^\s*using\s[^;]*;", RegexOptions.Multiline)]
    private static partial Regex Usings();

    [GeneratedRegex(@"\bawait\b|\bTimeProvider\b|\bBuildLog\b|\bStepContext\b|\bTask<")]
    private static partial Regex Impure();
}
