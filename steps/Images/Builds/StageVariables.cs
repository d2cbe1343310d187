using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>The variables of a Dockerfile's stages as they are when an instruction is reached.</summary>
/// <param name="escape">The Dockerfile's escape character.</param>
/// <param name="given">Build arguments that are given.</param>
internal sealed class StageVariables(char escape, IReadOnlyDictionary<string, string> given)
{
    private readonly Dictionary<string, string> global = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dictionary<string, string>> environments = new(StringComparer.OrdinalIgnoreCase);
    private Dictionary<string, string> arguments = new(StringComparer.Ordinal);
    private Dictionary<string, string> environment = new(StringComparer.Ordinal);
    private bool isGlobal = true;

    /// <summary>Takes an image's variables, each <c>name=value</c>.</summary>
    public void TakeEnvironment(IReadOnlyList<string> pairs)
    {
        isGlobal = false;
        foreach (var pair in pairs)
            if (pair.IndexOf('=', StringComparison.Ordinal) is var equals and > 0)
                environment[pair[..equals]] = pair[(equals + 1)..];
    }

    /// <summary>Takes what an instruction sets.</summary>
    public void Take(DockerfileInstruction instruction)
    {
        switch (instruction.Word)
        {
            case "FROM":
                Begin(instruction.Rest.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
                break;
            case "ARG":
                foreach (var argument in Words(instruction)) TakeArgument(argument);
                break;
            case "ENV":
                TakeVariables(instruction);
                break;
        }
    }

    /// <summary>A text with its variables replaced; null when it cannot be told.</summary>
    /// <param name="text">Text with variables in it.</param>
    /// <param name="unknown">What stands for a variable that nothing here sets: the base image may; null: it is not set.</param>
    public string? Expand(string text, string? unknown)
    {
        try
        {
            return ShellWords.Expand(
                text, escape, name => environment.GetValueOrDefault(name) ?? arguments.GetValueOrDefault(name) ?? unknown);
        }
        catch (UsageException)
        {
            return null;
        }
    }

    private void Begin(string[] from)
    {
        isGlobal = false;
        arguments = new(StringComparer.Ordinal);
        // The stage that it is built on hands its variables on.
        environment = from.Length > 0 && environments.TryGetValue(from[0], out var parent)
            ? new(parent, StringComparer.Ordinal) : new(StringComparer.Ordinal);
        if (from is [_, var word, var name] && word.Equals("AS", StringComparison.OrdinalIgnoreCase))
            environments[name] = environment;
    }

    private void TakeArgument(string argument)
    {
        var equals = argument.IndexOf('=', StringComparison.Ordinal);
        var name = equals < 0 ? argument : argument[..equals];
        var value = given.GetValueOrDefault(name)
            ?? (equals >= 0 ? Expand(argument[(equals + 1)..], null) : isGlobal ? null : global.GetValueOrDefault(name));
        if (value is null) return;
        arguments[name] = value;
        if (isGlobal) global[name] = value;
    }

    private void TakeVariables(DockerfileInstruction instruction)
    {
        var words = Words(instruction);
        if (words.Count == 0) return;
        // All of one instruction see what was there before it. The old form has one name and the rest of the line.
        var pairs = words[0].Contains('=', StringComparison.Ordinal)
            ? words
                .Select(word => (Name: word.Split('=')[0], Text: word[(word.IndexOf('=', StringComparison.Ordinal) + 1)..]))
                .ToList()
            : [(Name: words[0], Text: instruction.Rest.TrimStart()[words[0].Length..].Trim())];
        foreach (var (name, value) in pairs.Select(pair => (pair.Name, Expand(pair.Text, null))).ToList())
        {
            if (value is null) environment.Remove(name);
            else environment[name] = value;
        }
    }

    private static IReadOnlyList<string> Words(DockerfileInstruction instruction) =>
        ShellWords.Split(instruction.Rest, keepsQuotes: true, keepsEscapes: true) ?? [];
}
