using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.Images;
using CiSteps.Pipeline;
using CiSteps.Repositories;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Cli.Pruning;

/// <summary>
/// Reads what there is and what is in use, decides, and removes where that was asked for. What cannot be known is never guessed:
/// then nothing is removed.
/// </summary>
internal sealed class PruneStep(StepContext context, ChainRun run)
{
    private readonly RegistryDefinition registry = run.Policy.Registry;

    public async Task<Outcome> RunAsync(CancellationToken cancel)
    {
        var services = Services();
        var inUse = new ImagesInUse(
            run.Identity.Repository,
            await TipsAsync(cancel),
            await ChainsAsync(cancel),
            await ProductionAsync(cancel),
            NamedImages.In(run.Policy, run.Change));
        using var client = RegistryClient.Open(context, registry.PlainHttp, registry.Push, registry.Pull);
        var images = new List<BranchImage>();
        foreach (var service in services)
        {
            var repository = ImageName.Repository(registry.Push, registry.BranchPrefix, service, isDefaultBranch: false);
            context.Log.Progress($"reading {repository.Repository}");
            images.AddRange(await BranchImages.ListAsync(
                client,
                repository,
                ImageName.Repository(registry.Push, registry.BranchPrefix, service, isDefaultBranch: true),
                cancel));
        }
        var madeBefore = context.Time.GetUtcNow() - context.Options.Get(PruneCommand.OlderThan);
        var plan = PrunePlan.For(images, inUse, madeBefore, RegistryPair.Parse(registry.Push, registry.Pull));
        foreach (var decision in plan.Decisions)
        {
            if (decision.Image.Unreadable is null) context.Log.Info(decision.Text);
            else context.Log.Warning($"{decision.Text}; push it again, or remove it from the registry by hand");
        }
        var unreadable = images.Count(image => image.Unreadable is not null);
        var left = unreadable == 0 ? "" : $" ({Count.Of(unreadable, "cannot be read and stays", "cannot be read and stay")})";
        var (count, all) = (plan.Removed.Count, $"{Count.Of(images.Count, "image")} of private branches{left}");
        if (count == 0)
            return Outcome.Done(
                $"nothing to remove: {all}, and none is both older than " +
                $"{context.Options.Get(PruneCommand.OlderThan).TotalDays:0.#} days and unused");
        if (context.DryRun || !context.Options.Get(PruneCommand.Delete))
            return Outcome.Done(
                $"would remove {count} of {all}; nothing was removed" + (context.DryRun ? "" : ": run it again with --delete"));
        return await RemoveAsync(client, plan, all, cancel);
    }

    private async Task<Outcome> RemoveAsync(RegistryClient client, PrunePlan plan, string all, CancellationToken cancel)
    {
        var (removal, refusals) = await BranchImages.RemoveAllAsync(client, plan.Removed, plan.Needed,
            cancel);
        if (refusals.Count == 0)
            return Outcome.Done($"removed {removal} of {all}; their layers go when the registry collects its garbage");
        var soFar = removal == 0 ? "nothing was removed" : $"{removal} of {plan.Removed.Count} were removed";
        // What was under way beside the first refusal may have been refused too; no other run would find what is left of it.
        foreach (var (_, other) in refusals.Skip(1)) context.Log.Warning(other.Message);
        var (image, refusal) = refusals[0];
        // What is left over belongs to no image any more, so that another run does not find it.
        if (refusal.Code == BranchImages.Remains)
            return Outcome.Refused("registry-refused",
                $"{refusal.Message}; {soFar}: what is left of it is for the registry's own retention; "
                + "run it again for the others");
        return refusal.Status == 405
            ? Outcome.Refused("deletion-disabled",
                $"the registry \"{image.Image.Host}\" has deletion switched off ({refusal.Message}); {soFar}: "
                + "switch it on there (docker-registry: storage.delete.enabled, or REGISTRY_STORAGE_DELETE_ENABLED=true), "
                + "or use the registry's own retention")
            : Outcome.Refused(
                refusal.Code == BranchImages.Moved ? "tag-moved" : "registry-refused",
                $"{refusal.Message}; {soFar}: run it again");
    }

    private IReadOnlyList<string> Services()
    {
        if (context.Options.Find(PruneCommand.Services) is { } named)
            return [.. named
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Distinct(StringComparer.Ordinal)];
        return [.. run.Policy.Components.Where(component => component.Image is not null).Select(component => component.Name)];
    }

    private async Task<IReadOnlyDictionary<string, string>> TipsAsync(CancellationToken cancel)
    {
        context.Log.Progress("asking the origin for its branches");
        return await new OriginRemote(run.Repository, ChainRun.Access(context), context.Time, context.Log).TipsAsync(cancel);
    }

    private async Task<IReadOnlySet<string>> ChainsAsync(CancellationToken cancel)
    {
        if (run.Policy.Suites.Count == 0 || context.Options.Get(PruneCommand.WithoutPool)) return new HashSet<string>();
        if (context.Options.Find(TestbedAccess.PoolKubeconfig) is null
            && context.Options.Find(TestbedAccess.Kubeconfig) is null
            && context.FindSecret(TestbedAccess.PoolKubeconfigVariable) is null)
            throw new UsageException(
                "which chains are open is not known: ci-steps.yaml has integration suites and no testbeds are named; " +
                $"give --{TestbedAccess.PoolKubeconfig.Name} (or --{TestbedAccess.Kubeconfig.Name}), " +
                $"or --{PruneCommand.WithoutPool.Name} when branch tips and age are to suffice");
        context.Log.Progress("asking for the chains that hold testbeds");
        using var testbeds = await TestbedAccess.OpenAsync(context, cancel);
        return await testbeds.ChainsAsync(cancel);
    }

    private async Task<IReadOnlyDictionary<string, string>> ProductionAsync(CancellationToken cancel)
    {
        var used = new Dictionary<string, string>(StringComparer.Ordinal);
        if (run.Policy.Production is not { } production || context.Options.Get(PruneCommand.WithoutProduction)) return used;
        foreach (var target in production.Waves
            .SelectMany(wave => wave.Targets)
            .DistinctBy(target => (target.Kubeconfig, target.Namespace)))
        {
            if (target.FindKubeconfig(context.Options.Environment) is not { } kubeconfig)
                throw new UsageException(
                    $"what the production target \"{target.Name}\" runs is not known: {target.Kubeconfig} is not set; " +
                    $"set it to the path of a kubeconfig that may read there, or give --{PruneCommand.WithoutProduction.Name} " +
                    "when images of private branches are never used in production");
            context.Log.Progress($"reading what {target.Name} runs");
            await ProductionImages.ReadAsync(target, kubeconfig, used, context, cancel);
        }
        return used;
    }
}
