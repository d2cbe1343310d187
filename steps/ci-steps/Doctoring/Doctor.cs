using System.Text.Json.Nodes;
using CiSteps.Cli.Records;
using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.Cli.Doctoring;

/// <summary>
/// Looks at one thing after the other; a look that fails does not keep the others from being made. Nothing that is looked at is
/// changed.
/// </summary>
internal sealed class Doctor(StepContext context)
{
    // A host that swallows packets is a finding, not a reason to wait for minutes.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var looks = new List<DoctorCheck>();
        var machine = new MachineChecks(context);
        looks.AddRange(await WithinAsync("git", machine.GitAsync, cancel));
        looks.AddRange(await WithinAsync("engine", machine.EngineAsync, cancel));
        looks.AddRange(machine.Disks());
        looks.AddRange(machine.BuildParameters());
        var (pipeline, found) = Pipeline();
        looks.Add(found);
        if (pipeline is not null)
            looks.AddRange(await WithinAsync("registry", stop => new RegistryChecks(context, pipeline).AllAsync(stop), cancel));
        var clusters = new ClusterChecks(context);
        looks.AddRange(await WithinAsync("testbeds", clusters.TestbedsAsync, cancel));
        looks.AddRange(await WithinAsync("production", stop => clusters.ProductionAsync(pipeline, stop), cancel));
        Print(looks);
        if (context.Options.Find(DoctorCommand.SummaryFile) is { } file)
            ChainRecord.WriteJson(Path.GetFullPath(file), AsJson(looks));
        var ill = looks.Where(look => look.IsWell == false).Select(look => look.Subject).ToList();
        return ill.Count == 0
            ? Outcome.Done(
                $"{Count.Of(
                    looks.Count(look => look.IsWell == true),
                    "thing is as the steps need it",
                    "things are as the steps need them")}")
            : Outcome.Refused("not-ready",
                $"not as the steps need it: {string.Join(", ", ill)}; see the lines above for what to do");
    }

    private async Task<IReadOnlyList<DoctorCheck>> WithinAsync(
        string subject, Func<CancellationToken, Task<IReadOnlyList<DoctorCheck>>> look, CancellationToken cancel)
    {
        using var late = new CancellationTokenSource(Limit, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, late.Token);
        try
        {
            return await look(either.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            return [new(subject, false, $"no answer within {Durations.Show(Limit)}",
                "see whether it is up, and whether something between here and there swallows the connection")];
        }
    }

    private (PipelineDefinition?, DoctorCheck) Pipeline()
    {
        var name = context.Options.Get(StepCommand.PipelineFile);
        try
        {
            var pipeline = PipelineFile.Read(Path.Combine(context.WorkTree, name));
            return (
                pipeline,
                new("pipeline file", true,
                    $"{name}: {Count.Of(pipeline.Components.Count, "component")}, {Count.Of(pipeline.Suites.Count, "suite")}"));
        }
        catch (UsageException failure)
        {
            return (null, DoctorCheck.Failed("pipeline file", failure,
                File.Exists(Path.Combine(context.WorkTree, name)) ? "" : "ci-steps scaffold --work-tree writes a first one"));
        }
    }

    private void Print(List<DoctorCheck> looks)
    {
        static string[] Row(DoctorCheck look) =>
            [look.IsWell switch { true => "ok", false => "NOT", _ => "-" }, look.Subject, look.Text];
        static string[] Advice(DoctorCheck look) => ["", "", "-> " + look.Advice];
        var rows = looks.SelectMany(look => look.Advice.Length > 0 ? [Row(look), Advice(look)] : new[] { Row(look) });
        foreach (var line in Table.Lines(rows)) context.Log.Info(line);
    }

    private JsonObject AsJson(List<DoctorCheck> looks) => new()
    {
        ["ready"] = looks.All(look => look.IsWell != false),
        ["looks"] = new JsonArray([.. looks.Select(look => (JsonNode)new JsonObject
        {
            ["subject"] = look.Subject,
            ["verdict"] = look.Verdict,
            ["text"] = context.Log.Mask.Apply(look.Text),
            ["advice"] = look.Advice,
        })]),
    };
}
