using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.Reports;

namespace CiSteps.Notifications;

/// <summary>One message to one team.</summary>
/// <param name="Owner">The team's name in ci-steps.yaml.</param>
/// <param name="Id">The same for the same failure of the same chain, so that a receiver can drop a repetition.</param>
/// <param name="Body">What is posted.</param>
public sealed record Notification(OwnerDefinition Owner, string Id, JsonObject Body)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>Writes the message.</summary>
    public static Notification Of(OwnerDefinition owner, ChainVerdict verdict, RunIdentity run, IReadOnlyList<string> components, IReadOnlyDictionary<string, string> links)
    {
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', run.Repository, run.Commit, run.BuildNumber, verdict.FailedStep, owner.Name))))[..32];
        var json = new JsonObject();
        foreach (var (name, address) in links) json[name] = address;
        return new(owner, id, new JsonObject
        {
            // First, and by this name: chat systems' incoming webhooks show it.
            ["text"] = $"{run.Branch} at {run.ShortCommit}, build {run.BuildNumber}: {verdict.FailedStep} failed: {verdict.Text}",
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
            ["audience"] = verdict.Audience == Audience.Platform ? "platform" : "owners",
            ["components"] = new JsonArray([.. components.Select(component => (JsonNode)component)]),
            ["links"] = json,
            ["again"] = verdict.Audience == Audience.Platform
                ? $"run {verdict.FailedStep} again from its build page (or ci-steps run --branch {run.Branch} --step {verdict.FailedStep}), then what comes after it"
                : $"mend it and push to {run.Branch} again",
        });
    }

    /// <summary>Posts it. Failing is a warning: whether somebody was told does not change how the chain ended.</summary>
    /// <returns>Whether it arrived.</returns>
    public async Task<bool> SendAsync(string address, HttpClient http, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            log.Warning($"the webhook of \"{Owner.Name}\" is no http or https address; nobody was told");
            return false;
        }
        var retry = Retry.Transient(error => error is HttpRequestException { StatusCode: null or >= System.Net.HttpStatusCode.InternalServerError or System.Net.HttpStatusCode.TooManyRequests }
            or TaskCanceledException && !cancel.IsCancellationRequested, time, log);
        try
        {
            await retry.ExecuteAsync(async token =>
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(token);
                limit.CancelAfter(Limit);
                using var request = new HttpRequestMessage(HttpMethod.Post, uri)
                {
                    Content = new StringContent(Body.ToJsonString(), Encoding.UTF8, new MediaTypeHeaderValue("application/json")),
                };
                request.Headers.Add("Idempotency-Key", Id);
                using var answer = await http.SendAsync(request, limit.Token).ConfigureAwait(false);
                if (!answer.IsSuccessStatusCode) throw new HttpRequestException($"the webhook answered {(int)answer.StatusCode}", null, answer.StatusCode);
            }, cancel).ConfigureAwait(false);
            log.Info($"told {Owner.Name}");
            return true;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException && !cancel.IsCancellationRequested)
        {
            log.Warning($"\"{Owner.Name}\" could not be told by its webhook: {failure.Message}; the chain's outcome stands");
            return false;
        }
    }
}
