using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Pipeline;

/// <summary>What the steps before merge and certify stated of this very run, and whether that is what the target branch asks
/// for.</summary>
/// <param name="UnitTests">unit-test's hand-over.</param>
/// <param name="Images">image-build's hand-over.</param>
/// <param name="Integration">integration-deploy's hand-over.</param>
/// <param name="Statements">The three statements as they were read.</param>
public sealed record ChainEvidence(UnitTestHandOver UnitTests, ImageBuildHandOver Images, IntegrationHandOver Integration,
    IReadOnlyList<StepEvidence> Statements)
{
    /// <summary>The switch of the steps that read evidence.</summary>
    public const string RequireSignedName = "require-signed";

    /// <summary>Reads the evidence.</summary>
    /// <param name="context">The step that reads.</param>
    /// <param name="done">What is not done without evidence: <c>merged</c>, <c>certified</c>.</param>
    /// <param name="requireSigned">Refuse what has no signature; a wrong one is refused in any case.</param>
    /// <returns>The evidence, or the refusal when some is missing, failed, of another run, of files that are not committed, or of
    /// a run that did not know what it was compared with.</returns>
    /// <exception cref="UsageException">A statement or hand-over is broken.</exception>
    /// <exception cref="RefusedException">There is a key, and a signature is broken or of another key.</exception>
    public static (ChainEvidence? Evidence, Outcome? Refusal) Read(StepContext context, string done, bool requireSigned)
    {
        ArgumentNullException.ThrowIfNull(context);
        var found = new List<StepEvidence>();
        foreach (var step in new[] { "unit-test", "image-build", "integration-deploy" })
        {
            if (!context.Evidence.TryReadDone(step, out var evidence, out var why))
                return (null, Outcome.Refused("no-evidence",
                    $"nothing is {done} without evidence of this very run: {why}; run {step} for this commit first",
                    Fault.Environment));
            if (Unfit(evidence, requireSigned) is { } unfit) return (null, unfit);
            found.Add(evidence);
        }
        var read = new ChainEvidence(
            found[0].RequiredHandOverAs(HandOverJson.Default.UnitTestHandOver),
            found[1].RequiredHandOverAs(HandOverJson.Default.ImageBuildHandOver),
            found[2].RequiredHandOverAs(HandOverJson.Default.IntegrationHandOver), found);
        if (read.UnitTests.Components.FirstOrDefault(one => Math.Min(Math.Min(one.Passed, one.Failed),
            Math.Min(one.Skipped, one.Flaky)) < 0) is { } unit) throw Negative("unit-test", unit.Component);
        if (read.Integration.Suites.FirstOrDefault(one => Math.Min(Math.Min(one.Passed, one.Failed), one.Skipped) < 0)
            is { } suite) throw Negative("integration-deploy", suite.Suite);
        return (read, null);

        static UsageException Negative(string step, string of) =>
            new($"the evidence of \"{step}\" counts fewer than 0 tests of \"{of}\", which no run can: run {step} again");
    }

    /// <summary>Why evidence of this run that says "done" is not enough for what cannot be taken back; null when it is.</summary>
    public static Outcome? Unfit(StepEvidence evidence, bool requireSigned)
    {
        ArgumentNullException.ThrowIfNull(evidence);
        var step = evidence.Step;
        if (evidence.Run.Dirty)
            return Outcome.Refused("dirty", $"\"{step}\" ran on files that are not committed, so it says nothing about the " +
                "commit; commit them and run the chain", Fault.Environment);
        if (evidence.Run.BaseUnknown)
            return Outcome.Refused("base-unknown", $"\"{step}\" ran where the target branch could not be read, so nobody knows " +
                "what it judged by: run the chain where the origin answers", Fault.Environment);
        return requireSigned && !evidence.IsSigned
            ? Outcome.Refused("not-signed", $"the evidence of \"{step}\" has no valid signature and --{RequireSignedName} is " +
                $"set: give all steps of the chain {Signing.SigningKey}, and this one the key to check with", Fault.Environment)
            : null;
    }

    /// <summary>What the target branch's pipeline file asks for, as it is now, and the evidence does not show; null when it shows
    /// all.</summary>
    /// <param name="run">The run that reads: its change, its repository, its identity.</param>
    /// <param name="policy">The target's file now.</param>
    /// <param name="changedPaths">What the change touches; null on the target branch, where each component has its own commit to
    /// compare with.</param>
    /// <param name="resultTree">Id of the tree that would land; the built commit's own when null.</param>
    public string? Lack(ChainRun run, JudgingFile policy, IReadOnlyList<string>? changedPaths, string? resultTree = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(policy);
        foreach (var tested in UnitTests.Components)
            if (tested.Failed > 0) return $"unit-test counted {tested.Failed} failed tests of component \"{tested.Component}\"";
        foreach (var result in Integration.Suites)
            if (!result.Succeeded) return $"suite \"{result.Suite}\" did not pass";
        if (Statements.FirstOrDefault(one => FileOf(one) is { } file && file != run.ConfigurationPath) is { } other)
            return $"\"{other.Step}\" read the pipeline file \"{FileOf(other)}\", and this step reads " +
                $"\"{run.ConfigurationPath}\": give all steps the same --config";
        return (changedPaths is null ? Unknown(policy) : TouchedOf(run, policy, changedPaths, resultTree))
            ?? run.Change.Components.Select(component => UnitTestsOf(component, policy)).FirstOrDefault(lack => lack is not null)
            ?? Images.Images.Where(image => image.Built).Select(image => LackOf(image, policy.File))
                .FirstOrDefault(lack => lack is not null)
            ?? Statements.Select(statement => JudgedOtherwise(run, statement, policy)).FirstOrDefault(lack => lack is not null);
    }

    /// <summary>What the evidence does not show about an image, in a sentence; null when it shows all that the policy asks
    /// for.</summary>
    public string? LackOf(BuiltImage image, PipelineDefinition policy)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(policy);
        if (UnitTests.Components.FirstOrDefault(tested => tested.Component == image.Component) is not { } unit)
            return $"unit-test of this run says nothing about \"{image.Component}\": run it again";
        if (unit.Failed > 0) return $"unit-test counted {unit.Failed} failed tests of \"{image.Component}\"";
        foreach (var suite in policy.SuitesFor([image.Component]))
        {
            if (Integration.Suites.FirstOrDefault(result => result.Suite == suite.Name) is not { } result)
                return $"suite \"{suite.Name}\", which component \"{image.Component}\" has to pass, did not run: run " +
                    "integration-deploy again";
            if (!result.Succeeded) return $"suite \"{suite.Name}\" did not pass";
            if (!result.Images.Any(served => served.Component == image.Component && served.Digest == image.Digest))
                return $"suite \"{suite.Name}\" ran with another image of \"{image.Component}\" than {image.Digest} that " +
                    "image-build made: run integration-deploy again";
        }
        return null;
    }

    // A component that the target does not have has nobody there who asks for anything of it.
    private string? Unknown(JudgingFile policy) => Images.Images.FirstOrDefault(image => image.Built
        && !policy.File.Components.Any(component => component.Name == image.Component)) is { } image
        ? $"\"{policy.File.Branches.Target}\" does not have a component \"{image.Component}\" any more, of which an image was " +
            "built" : null;

    // By the target's idea of the paths as it is now: what it takes for changed must have been tested as changed.
    private string? TouchedOf(ChainRun run, JudgingFile policy, IReadOnlyList<string> changedPaths, string? resultTree)
    {
        foreach (var change in ChangedComponents.Decide(policy.File, changedPaths, run.ConfigurationPath)
            .Where(change => change.Changed))
        {
            var (component, name) = (change.Component, change.Component.Name);
            if (policy.File.Suites.FirstOrDefault(suite => TakenOut.Of(suite, policy.File, run.Change).Contains(name)
                && !Integration.Suites.Any(result => result.Suite == suite.Name && result.Components.Contains(name)))
                is { } suite) return TakenOut.Sentence(suite.Name, name);
            if (run.Change.Components.Any(own => own.Name == name))
            {
                if (UnitTests.Components.FirstOrDefault(tested => tested.Component == name) is not { Changed: true })
                    return $"component \"{name}\" counts as changed ({change.Reason}), and unit-test took it for unchanged";
            }
            else if (component.UnitTests is [{ } unit, ..] && IsLeft(run, component, resultTree))
                return $"the target's component \"{name}\" has no result of its unit tests \"{unit.Name}\": the change takes " +
                    "it out or renames it, or is older than it, and files of it stay; take its unit tests out on the target " +
                    "first, or remove all its files with it";
        }
        foreach (var (name, path) in ChangedSuites.Decide(policy.File, changedPaths))
        {
            // Without any of its components there is nothing that it could be run on.
            var suite = policy.File.Suites.First(suite => suite.Name == name);
            if (run.Change.Components.Any(component => component is { Workload: not null, Image: not null }
                && suite.Covers(component.Name)) && !Integration.Suites.Any(result => result.Suite == name))
                return $"suite \"{name}\" counts as changed ({path} changed) and did not run: run the chain again";
        }
        return null;
    }

    private static bool IsLeft(ChainRun run, ComponentDefinition component, string? resultTree)
    {
        var globs = PathGlobs.Parse(component.Paths);
        var files = resultTree is null ? run.Repository.Files(run.Identity.Commit) : run.Repository.FilesOfTree(resultTree);
        return files.Any(file => globs.Matches(file.Path));
    }

    private string? UnitTestsOf(ComponentDefinition component, JudgingFile policy)
    {
        if (UnitTests.Components.FirstOrDefault(tested => tested.Component == component.Name) is not { } tested)
            return $"unit-test of this run says nothing about \"{component.Name}\"";
        if (!tested.Changed) return null;
        var asked = policy.File.Components.FirstOrDefault(one => one.Name == component.Name)?.UnitTests ?? [];
        return asked.Concat(component.UnitTests).FirstOrDefault(run => !tested.Runs.Contains(run.Name)) is { } missing
            ? $"the unit tests \"{missing.Name}\" of \"{component.Name}\" did not run" : null;
    }

    // Which pipeline file said what runs; null where the statement is of something else than tests.
    private static string? FileOf(StepEvidence statement) =>
        statement.Predicate["configuration"] is JsonArray { Count: > 0 } files
        && files[0] is JsonObject file && file["name"] is JsonValue name && name.TryGetValue(out string? path) ? path : null;

    // The target's file may have changed since the step judged by it.
    private string? JudgedOtherwise(ChainRun run, StepEvidence statement, JudgingFile policy)
    {
        var (judgedBy, target) = (statement.Run.PolicyCommit, policy.File.Branches.Target);
        if (policy.Commit is null || judgedBy == policy.Commit) return null;
        if (judgedBy is null) return $"\"{statement.Step}\" was judged by the change's own {run.Change.Source}, and " +
            $"\"{target}\" has one now";
        if (run.Repository.FindCommit(judgedBy) is null || !run.Repository.IsAncestor(judgedBy, policy.Commit))
            return $"\"{statement.Step}\" was judged by the file at {ShortId.Of(judgedBy)}, which is not " +
                $"in the history of \"{target}\"";
        var then = run.PolicyAt(judgedBy).File;
        var suite = Integration.Suites.FirstOrDefault(result => policy.File.Suites.Any(suite => suite.Name == result.Suite)
            && !PolicyDifferences.SameSuite(result.Suite, then, policy.File));
        if (suite is not null) return $"suite \"{suite.Suite}\" is another one at \"{target}\" now than the one that ran";
        var rules = UnitTests.Components.Where(tested => tested.Changed).SelectMany(tested =>
            then.Components.FirstOrDefault(one => one.Name == tested.Component) is { } before
                && policy.File.Components.FirstOrDefault(one => one.Name == tested.Component) is { } now
                ? PolicyDifferences.TestRules(before, now) : []).FirstOrDefault();
        if (rules is not null) return $"\"{target}\" has changed the {rules} since unit-test judged by it";
        // How tests run is the change's, but a run that it took out was done as the target had it then.
        var taken = UnitTests.Components.Where(tested => tested.Changed).SelectMany(tested =>
            PolicyDifferences.RunsTakenOut(tested.Component, run.Change, then, policy.File)).FirstOrDefault();
        return taken is null ? null : $"\"{target}\" has changed the {taken} since, which ran as it had them";
    }
}
