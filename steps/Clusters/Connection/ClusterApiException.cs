using CiSteps.Hosting.Json;

namespace CiSteps.Clusters;

/// <summary>
/// The API server said no to one request, and the caller may know what to make of it: not found, conflict, gone, invalid, denied
/// by admission or quota. Missing rights and broken connections are <see cref="Hosting.UnavailableException"/> instead.
/// </summary>
/// <param name="code">HTTP status code.</param>
/// <param name="reason">The Status object's reason, such as <c>NotFound</c> or <c>Conflict</c>; empty when there was
/// none.</param>
/// <param name="message">What was asked and what the server said.</param>
public sealed class ClusterApiException(int code, string reason, string message) : Exception(message)
{
    /// <summary>HTTP status code.</summary>
    public int Code { get; } = code;

    /// <summary>The Status object's reason; empty when there was none.</summary>
    public string Reason { get; } = reason;

    /// <summary>The server's own words, without what was asked.</summary>
    public string Said { get; init; } = message;

    internal static ClusterApiException Read(int code, string body, string asked)
    {
        var (reason, said) = ("", body.Trim());
        try
        {
            var status = OutsideJson.ReadObject(body, "the answer");
            (reason, said) = (status.Text("reason") ?? "", status.Text("message") ?? said);
        }
        catch (OutsideJsonException)
        {
            // A proxy in between answers in its own way: its text is what there is.
        }
        said = OnOneLine(said);
        if (said.Length == 0) said = $"HTTP {code}";
        if (said.Length > 1500) said = said[..1500] + "…";
        return new ClusterApiException(code, reason, $"{asked}: {said}") { Said = said };
    }

    // A server that has several things to say gives each a line of its own; a build problem is one line.
    private static string OnOneLine(string said)
    {
        var lines = said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length == 0 ? "" : lines.Aggregate((one, other) => one + (one.EndsWith(':') ? " " : "; ") + other);
    }
}
