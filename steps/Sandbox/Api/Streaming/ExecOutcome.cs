using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Streaming;

/// <summary>Runs a command and says how it ended, in the form that clients read the exit code from.</summary>
internal static class ExecOutcome
{
    public static async Task<byte[]> RunAsync(Func<Task<int>> run)
    {
        try
        {
            var code = await run().ConfigureAwait(false);
            if (code == 0)
                return new JsonObject { ["metadata"] = new JsonObject(), ["status"] = "Success" }.ToUtf8();
            return new JsonObject
            {
                ["metadata"] = new JsonObject(),
                ["status"] = "Failure",
                ["reason"] = "NonZeroExitCode",
                ["message"] = $"command terminated with non-zero exit code: exit status {code}",
                ["details"] = new JsonObject
                {
                    ["causes"] = new JsonArray(new JsonObject { ["reason"] = "ExitCode", ["message"] = code.ToString() })
                },
            }.ToUtf8();
        }
        catch (ApiException e)
        {
            return e.ToStatus().ToUtf8();
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            return new ApiException(500, "InternalError", $"error executing command in container: {e.Message}")
                .ToStatus()
                .ToUtf8();
        }
    }
}
