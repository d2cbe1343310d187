using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Notifications;

/// <summary>One message to one team.</summary>
/// <param name="Owner">The team, as ci-steps.yaml names it.</param>
/// <param name="Id">The same for the same failure of the same chain, so that a receiver can drop a repetition.</param>
/// <param name="Body">What is posted.</param>
public sealed record Notification(OwnerDefinition Owner, string Id, JsonObject Body)
{
    /// <summary>Writes the message.</summary>
    /// <param name="owner">Whom it is for.</param>
    /// <param name="verdict">How the chain ended.</param>
    /// <param name="run">Which chain it was.</param>
    /// <param name="components">Names of the changed components.</param>
    /// <param name="links">Addresses to look at, by what is there.</param>
    public static Notification Of(OwnerDefinition owner, ChainVerdict verdict, RunIdentity run, IReadOnlyList<string> components,
        IReadOnlyDictionary<string, string> links)
    {
        var failure = string.Join('\n', run.Repository, run.Commit, run.BuildNumber, verdict.FailedStep, owner.Name);
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(failure)))[..32];
        var json = new JsonObject();
        foreach (var (name, address) in links) json[name] = address;
        return new(owner, id, new JsonObject
        {
            // First, and by this name: chat systems' incoming webhooks show it.
            ["text"] =
                $"{run.Branch} at {run.ShortCommit}, build {run.BuildNumber}: {verdict.FailedStep} failed: " +
                $"{verdict.Text}{ToAll(verdict)}",
            ["id"] = id,
            ["outcome"] = "failed",
            ["chain"] = run.Chain,
            ["repository"] = run.Repository,
            ["branch"] = run.Branch,
            ["commit"] = run.Commit,
            ["build"] = run.BuildNumber,
            ["step"] = verdict.FailedStep,
            ["reason"] = verdict.Reason,
            ["message"] = verdict.Text,
            ["owner"] = owner.Name,
            ["fault"] = verdict.Fault.Word(),
            ["audience"] = verdict.Audience switch
            {
                Audience.Platform => "platform",
                Audience.Everybody => "everybody",
                _ => "owners"
            },
            ["components"] = new JsonArray([.. components.Select(component => (JsonNode)component)]),
            ["links"] = json,
            ["again"] = Again(verdict, run),
        });
    }

    private static string ToAll(ChainVerdict verdict) => verdict.Audience == Audience.Everybody
        ? " (whose fault it was is not known, so owners and platform are told)" : "";

    private static string Again(ChainVerdict verdict, RunIdentity run)
    {
        var repeat = $"run {verdict.FailedStep} again from its build page "
            + $"(or ci-steps run --branch {run.Branch} --step {verdict.FailedStep}), then what comes after it";
        var mend = $"mend it and push to {run.Branch} again";
        return verdict.Audience switch
        {
            Audience.Platform => repeat,
            Audience.Everybody => $"{mend}, or {repeat}",
            _ => mend,
        };
    }
}
