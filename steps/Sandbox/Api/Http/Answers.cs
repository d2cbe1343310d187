using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Http;

/// <summary>Writes answers.</summary>
internal static class Answers
{
    public static async Task JsonAsync(this HttpContext context, int code, byte[] utf8, string type = "application/json")
    {
        context.Response.StatusCode = code;
        context.Response.ContentType = type;
        context.Response.ContentLength = utf8.Length;
        if (context.Request.Method != "HEAD")
            await context.Response.Body.WriteAsync(utf8, context.RequestAborted).ConfigureAwait(false);
    }

    public static Task JsonAsync(this HttpContext context, int code, JsonNode body) => context.JsonAsync(code, body.ToUtf8());

    public static Task TextAsync(this HttpContext context, int code, string text)
    {
        context.Response.StatusCode = code;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    /// <summary>What an API server says to an address that nothing serves.</summary>
    public static Task NotServedAsync(this HttpContext context) => context.TextAsync(404, "404 page not found\n");

    public static Task FailAsync(this HttpContext context, ApiException error)
    {
        if (error.RetryAfterSeconds > 0)
            context.Response.Headers.RetryAfter = error.RetryAfterSeconds.ToString();
        return context.JsonAsync(error.Code, error.ToStatus());
    }

    /// <summary>A warning that kubectl shows to the person.</summary>
    public static void Warn(this HttpContext context, string text) =>
        context.Response.Headers.Append("Warning", $"299 - \"{text.Replace("\\", "\\\\").Replace("\"", "\\\"")}\"");
}
