using System.Net;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Answers of something that stands between here and a registry: a login page, a redirect that leads nowhere.</summary>
internal static class ForeignAnswer
{
    /// <summary>What to do about one.</summary>
    public const string Advice = "see whether a proxy or a login page stands in between, and whether the address is right";

    /// <summary>What is wrong with a redirect that was not followed; null when the status is not one.</summary>
    /// <param name="status">The answer's status.</param>
    /// <param name="asked">What was asked last.</param>
    /// <param name="place">Where it leads; null: it does not say.</param>
    public static string? Redirect(HttpStatusCode status, Uri asked, Uri? place) => (int)status is < 300 or > 399 ? null
        : $"HTTP {(int)status}, a redirect " + (place is null || !Uri.TryCreate(asked, place, out var next) ? "to nowhere"
            : asked.Scheme == "https" && next.Scheme != "https"
                ? $"from HTTPS to \"{Shown(next)}\""
                : $"in a circle (\"{Shown(next)}\")");

    /// <summary>A web page in an answer's place; null when it is not one.</summary>
    public static string? Page(string? mediaType, byte[] body) =>
        mediaType == "text/html" && body.Length > 0 ? $"a web page ({mediaType}, {body.Length} bytes)" : null;

    /// <summary>Refuses an answer that is none of a registry's.</summary>
    /// <exception cref="UnavailableException">"registry-protocol": it is none.</exception>
    public static void Require(RegistryRequest request, RegistryAnswer answer)
    {
        var page = answer.IsSuccess && !request.MayBeUnknown ? Page(answer.MediaType, answer.Body) : null;
        // It may be a page of another place, to which the request was sent on.
        if (page is not null && !Shown(answer.Address).EndsWith(Shown(request.Path), StringComparison.Ordinal))
            page += $" from \"{Shown(answer.Address)}\"";
        if ((page ?? Redirect(answer.Status, answer.Address, answer.Headers.Location)) is not { } found) return;
        throw new UnavailableException("registry-protocol", $"the registry \"{request.Host}\" does not answer {request.Method} "
            + $"{Shown(request.Path)} itself: what comes is {found}; nothing is known; {Advice}");
    }

    // What follows may be a token.
    private static string Shown(Uri address) => address.GetLeftPart(UriPartial.Path);

    private static string Shown(string path) => path.Split('?')[0];
}
