using System.Net;
using System.Net.Http.Headers;
using System.Text;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.Notifications;

/// <summary>The channel to a team: the incoming webhook of a chat system or of a service of its own.</summary>
public static class Webhook
{
    // In front of an address that stands in an environment variable.
    private const string Variable = "env:";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    /// <summary>The address of a team's webhook; null when it has none here.</summary>
    /// <param name="owner">Team of the pipeline file, with the address that is posted to.</param>
    /// <param name="secret">Gives the secret in an environment variable; null when it is not set.</param>
    /// <param name="why">Why there is no address, and how the team can be told all the same; empty when there is one.</param>
    public static string? AddressOf(OwnerDefinition owner, Func<string, string?> secret, out string why)
    {
        why = "";
        string missing;
        if (owner.Webhook is { } webhook && webhook.StartsWith(Variable, StringComparison.Ordinal))
        {
            var variable = webhook[Variable.Length..];
            if (secret(variable) is { } address) return address;
            missing = $"the variable {variable}, which has the webhook of \"{owner.Name}\", is not set here";
        }
        else
        {
            if (owner.Webhook is { } written) return written;
            missing = $"\"{owner.Name}\" has no webhook";
        }
        why = missing + (owner.Email is null ? "" : $"; tell {owner.Email}");
        return null;
    }

    /// <summary>Posts the message. Failing is a warning: whether somebody was told does not change how the chain ended.</summary>
    /// <returns>Whether it arrived.</returns>
    public static async Task<bool> PostAsync(
        Notification notification, string address, HttpClient http, BuildLog log, TimeProvider time, CancellationToken cancel)
    {
        var owner = notification.Owner.Name;
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            log.Warning($"the webhook of \"{owner}\" is not an http or https address; nobody was told");
            return false;
        }
        var retry = Retry.Transient(error => Passes(error) || IsLate(error), time, log);
        try
        {
            await retry.ExecuteAsync(async token =>
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(token);
                limit.CancelAfter(Limit);
                using var request = new HttpRequestMessage(HttpMethod.Post, uri)
                {
                    Content = new StringContent(notification.Body.ToJsonString(), Encoding.UTF8, Json),
                };
                request.Headers.Add("Idempotency-Key", notification.Id);
                using var answer = await http.SendAsync(request, limit.Token).ConfigureAwait(false);
                if (!answer.IsSuccessStatusCode)
                    throw new HttpRequestException($"the webhook answered {(int)answer.StatusCode}", null, answer.StatusCode);
            }, cancel).ConfigureAwait(false);
            log.Info($"told {owner}");
            return true;
        }
        catch (Exception failure) when (failure is HttpRequestException || IsLate(failure))
        {
            log.Warning($"\"{owner}\" could not be told by its webhook: {failure.Message}; the chain's outcome stands");
            return false;
        }

        bool IsLate(Exception error) => error is TaskCanceledException && !cancel.IsCancellationRequested;
    }

    private static bool Passes(Exception error) => error is HttpRequestException
    {
        StatusCode: null or >= HttpStatusCode.InternalServerError or HttpStatusCode.TooManyRequests,
    };
}
