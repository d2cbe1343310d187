using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed;

/// <summary>Gathers what was built and what is held, decides, claims.</summary>
internal sealed class ReserveTestbedStep(StepContext context, Func<StepContext, CancellationToken, Task<ITestbeds>> open)
{
    private static readonly TimeSpan TimeToGiveBack = TimeSpan.FromSeconds(15);

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        using var run = await ChainRun.OpenAsync(context, cancel);
        if (context.Options.Get(ReserveTestbedCommand.GiveBack)) return await ReleaseAsync(run, cancel);
        if (await run.SupersededAsync(cancel) is { } superseded) return superseded;
        if (!context.Evidence.TryReadDone("image-build", out var built, out var why))
            return Outcome.Refused(
                "no-evidence", $"it is not known which images were built: {why}; run image-build first", Fault.Environment);
        var images = built.RequiredHandOverAs(HandOverJson.Default.ImageBuildHandOver).Images;
        var changed = await run.ChangedSuitesAsync(cancel);
        if (ReserveTestbedPlan.Needed(run.Policy, images, changed).Count == 0)
            return HandingOver(ReserveTestbedPlan.For(run.Policy, images, changed, []).ToString(), []);

        using var testbeds = await open(context, cancel);
        var plan = ReserveTestbedPlan.For(run.Policy, images, changed,
            await testbeds.FindAsync(run.Identity, cancel));
        context.Log.Info(plan.ToString());
        if (context.DryRun) return Outcome.Done(plan.ToString());
        if (plan.IsEmpty) return HandingOver($"already held: {Listed(plan.Held)}", plan.Held);

        var request = ClaimRequest.Of(run.Identity, plan.Wishes);
        Workplace.Require(context);
        foreach (var claim in plan.Superfluous) await testbeds.ReleaseAsync(claim, cancel);
        var held = await testbeds.ClaimAsync(request, context.Options.Get(ReserveTestbedCommand.Wait), cancel);
        return HandingOver($"reserved {Listed(held)}", held);
    }

    private async Task<Outcome> ReleaseAsync(ChainRun run, CancellationToken cancel)
    {
        using var testbeds = await open(context, cancel);
        if (context.DryRun)
        {
            var held = await testbeds.FindAsync(run.Identity, cancel);
            return Outcome.Done(held.Count == 0 ? "nothing is held" : $"would give back {Listed(held)}");
        }
        // Short, and whoever stops the build wants it too.
        using var finishing = new FinishingTime(Timeout.InfiniteTimeSpan, TimeToGiveBack, context.Time, cancel);
        var released = await testbeds.ReleaseAllAsync(run.Identity, finishing.Token);
        return HandingOver(released.Count == 0 ? "nothing was held" : $"gave back {string.Join(", ", released)}", []);
    }

    private static Outcome HandingOver(string text, IReadOnlyList<HeldTestbed> held) =>
        Outcome.Done(text).HandingOver(new ReserveHandOver(held), HandOverJson.Default.ReserveHandOver);

    private static string Listed(IReadOnlyList<HeldTestbed> held) =>
        string.Join(
            ", ", held.Select(one => $"\"{one.Testbed}\" for suite \"{one.Suite}\" (claim {one.Claim}, lease {one.Lease})"));
}
