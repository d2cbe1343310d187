using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed;

/// <summary>Gathers what was built and what is held, decides, claims.</summary>
internal sealed class ReserveTestbedStep(StepContext context, Func<StepContext, CancellationToken, Task<ITestbeds>> open)
{
    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        using var run = ChainRun.Open(context);
        if (context.Settings.Get(ReserveTestbedCommand.Release)) return await ReleaseAsync(run, cancel).ConfigureAwait(false);
        if (await run.SupersededAsync(cancel).ConfigureAwait(false) is { } superseded) return superseded;
        if (!context.Evidence.TryReadDone("image-build", out var built, out var why))
            return Outcome.Refused("no-images", $"it is not known which images were built: {why}; run image-build first");
        var images = built.HandOverAs(HandOverJson.Default.ImageBuildHandOver)?.Images ?? [];
        if (ReserveTestbedPlan.Needed(run.Policy, images).Count == 0)
            return HandingOver(ReserveTestbedPlan.For(run.Policy, images, []).ToString(), []);

        using var testbeds = await open(context, cancel).ConfigureAwait(false);
        var plan = ReserveTestbedPlan.For(run.Policy, images, await testbeds.FindAsync(run.Identity, cancel).ConfigureAwait(false));
        context.Log.Info(plan.ToString());
        if (context.DryRun) return Outcome.Done(plan.ToString());
        if (plan.IsEmpty) return HandingOver($"already held: {Listed(plan.Held)}", plan.Held);

        var request = ClaimRequest.Of(run.Identity, plan.Wishes);
        WriteDown(request);
        foreach (var claim in plan.Superfluous) await testbeds.ReleaseAsync(claim, cancel).ConfigureAwait(false);
        var held = await testbeds.ClaimAsync(request, context.Settings.Get(ReserveTestbedCommand.Wait), cancel).ConfigureAwait(false);
        return HandingOver($"reserved {Listed(held)}", held);
    }

    private async Task<Outcome> ReleaseAsync(ChainRun run, CancellationToken cancel)
    {
        using var testbeds = await open(context, cancel).ConfigureAwait(false);
        if (context.DryRun)
        {
            var held = await testbeds.FindAsync(run.Identity, cancel).ConfigureAwait(false);
            return Outcome.Done(held.Count == 0 ? "nothing is held" : $"would give back {Listed(held)}");
        }
        var released = await testbeds.ReleaseAllAsync(run.Identity, cancel).ConfigureAwait(false);
        return HandingOver(released.Count == 0 ? "nothing was held" : $"gave back {string.Join(", ", released)}", []);
    }

    /// <summary>The claims' names, on disk before the first claim exists: whoever comes after a kill finds them.</summary>
    private void WriteDown(ClaimRequest request)
    {
        var folder = context.Evidence.FolderOf(context.Step);
        try
        {
            Directory.CreateDirectory(folder);
            var ignore = Path.Combine(Path.GetDirectoryName(context.Evidence.Folder)!, ".gitignore");
            if (!File.Exists(ignore)) File.WriteAllText(ignore, "*\n");
            var claims = new JsonArray();
            foreach (var wish in request.Wishes)
                claims.Add((JsonNode)new JsonObject { ["claim"] = ClaimNames.Of(request.Run, wish.Suite), ["suite"] = wish.Suite, ["class"] = wish.Class });
            WholeFile.Write(Path.Combine(folder, "claims.json"), claims.ToJsonString() + "\n");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"the claims' names cannot be written down in \"{folder}\": {error.Message}; make the work tree writable", error);
        }
    }

    private static Outcome HandingOver(string text, IReadOnlyList<HeldTestbed> held) =>
        Outcome.Done(text).HandingOver(new ReserveHandOver(held), HandOverJson.Default.ReserveHandOver);

    private static string Listed(IReadOnlyList<HeldTestbed> held) =>
        string.Join(", ", held.Select(one => $"\"{one.Testbed}\" for suite \"{one.Suite}\" (claim {one.Claim}, lease {one.Lease})"));
}
