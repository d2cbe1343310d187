using CiSteps.Hosting;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>What a build may read and the image never holds: secrets by id, and the user's ssh agent.</summary>
internal static class BuildSecrets
{
    private const string Agent = "SSH_AUTH_SOCK";

    /// <summary>Looks whether all that an image wants is there, and hides it from the log.</summary>
    /// <returns>Arguments for buildx, which hold names and paths only.</returns>
    /// <exception cref="UsageException">A variable or file is missing.</exception>
    public static IReadOnlyList<string> Find(StepContext context, ComponentDefinition component)
    {
        var image = component.Image!;
        var arguments = new List<string>();
        foreach (var secret in image.Secrets)
        {
            var what = $"the secret \"{secret.Id}\" of \"{component.Name}\"";
            if (secret.Variable is { } variable)
            {
                if (context.Options.Environment.GetValueOrDefault(variable) is not { Length: > 0 } value)
                    throw new UsageException(
                        $"{what} is to come from the variable \"{variable}\", which is not set: set it for this build, " +
                        "or mend image.secrets in ci-steps.yaml");
                context.Log.Mask.Add(value);
                arguments.Add($"--secret=id={secret.Id},env={variable}");
                continue;
            }
            var path = Path.GetFullPath(Path.Combine(context.WorkTree, secret.File!));
            try
            {
                if (Path.Exists(path) && !BuildContext.IsPlainFile(path))
                    throw new IOException("it is a folder, a named pipe or a device");
                context.Log.Mask.Add(File.ReadAllText(path));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UsageException(
                    $"{what} is to come from the file \"{secret.File}\", which cannot be read ({error.Message}): put it there, " +
                    "or mend image.secrets in ci-steps.yaml",
                    error);
            }
            arguments.Add($"--secret=id={secret.Id},src={path}");
        }
        if (!image.Ssh) return arguments;
        if (context.Options.Environment.GetValueOrDefault(Agent) is not { Length: > 0 } socket || !Path.Exists(socket))
            throw new UsageException(
                $"\"{component.Name}\" has image.ssh, and no ssh agent is there: {Agent} " +
                $"{(context.Options.Environment.ContainsKey(Agent) ? "names nothing that exists" : "is not set")}; " +
                "start one (eval $(ssh-agent), ssh-add), or take image.ssh out of ci-steps.yaml");
        arguments.Add("--ssh=default");
        return arguments;
    }
}
