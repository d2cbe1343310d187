using System.Globalization;
using System.Text.RegularExpressions;

namespace CiSteps.Images;

/// <summary>Something in a Dockerfile that a builder does not know.</summary>
/// <param name="Line">Where, from 1.</param>
/// <param name="Construct">What, such as <c>RUN --mount</c>.</param>
public sealed record UnknownSyntax(int Line, string Construct);

/// <summary>
/// What the builders inside engines make of a Dockerfile that is written for BuildKit: some of it they refuse late, and some of
/// it they leave out without a word.
/// </summary>
public static partial class BuildKitSyntax
{
    // From here on podman's builder reads here-documents; from none on does it know the other ones for certain.
    private const int PodmanWithHereDocuments = 5;

    // The first engine whose BuildKit reads here-documents without a front end that the Dockerfile names.
    private const int EngineWithHereDocuments = 23;

    private static readonly string?[] UnknownAs = [null, "x", "x.git", "git://x/"];

    /// <summary>What the builder inside an engine does not know, up to the target stage.</summary>
    /// <param name="text">The Dockerfile.</param>
    /// <param name="parameters">What it is built with.</param>
    /// <param name="engine">The engine that would build.</param>
    /// <exception cref="Hosting.UsageException">A here-document is not closed.</exception>
    public static IReadOnlyList<UnknownSyntax> OfEngine(string text, DockerfileParameters parameters, EngineKind engine)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(engine);
        var file = Dockerfile.Parse(text, parameters.Name);
        var found = new List<UnknownSyntax>();
        // Podman's builder has one front end and says nothing of another; what that would change is found below, or it is not
        // known.
        if (file.Syntax is { } syntax) found.Add(new UnknownSyntax(syntax.Line, $"# syntax={syntax.Value}"));
        if (file.Check is { } check && check.Value.Contains("error=true", StringComparison.OrdinalIgnoreCase))
            found.Add(new UnknownSyntax(check.Line, $"# check={check.Value}"));
        var stages = 0;
        var isLast = false;
        var variables = new StageVariables(file.Escape, parameters.Arguments);
        foreach (var instruction in file.Instructions)
        {
            if (instruction.Word == "FROM")
            {
                if (isLast) break;
                isLast = IsTarget(instruction, parameters.Target, stages++);
            }
            found.AddRange(Of(instruction, isGlobal: stages == 0, parameters, engine, variables)
                .Select(construct => new UnknownSyntax(instruction.Line, construct)));
            variables.Take(instruction);
        }
        return found;
    }

    /// <summary>What the builder inside an engine does not know in the triggers (<c>ONBUILD</c>) of a base image.</summary>
    /// <param name="triggers">ONBUILD instructions of the base image, in their order.</param>
    /// <param name="environment">Its variables, each <c>name=value</c>.</param>
    /// <param name="parameters">What the Dockerfile that builds on it is built with.</param>
    /// <param name="engine">The engine that would build.</param>
    /// <returns>The triggers, each with its place among them as its line, from 1.</returns>
    public static IReadOnlyList<UnknownSyntax> OfTriggers(
        IReadOnlyList<string> triggers,
        IReadOnlyList<string> environment,
        DockerfileParameters parameters,
        EngineKind engine)
    {
        ArgumentNullException.ThrowIfNull(triggers);
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(engine);
        var found = new List<UnknownSyntax>();
        var variables = new StageVariables('\\', parameters.Arguments);
        variables.TakeEnvironment(environment);
        foreach (var (trigger, number) in triggers.Select((trigger, index) => (trigger, index + 1)))
        {
            IReadOnlyList<DockerfileInstruction> instructions;
            try
            {
                instructions = Dockerfile.Parse(trigger, "ONBUILD").Instructions;
            }
            catch (Hosting.UsageException)
            {
                // A here-document whose text the image does not keep: nobody knows what it would do.
                found.Add(new UnknownSyntax(number, trigger.Split('\n')[0]));
                continue;
            }
            foreach (var instruction in instructions)
            {
                found.AddRange(Of(instruction, isGlobal: false, parameters, engine, variables)
                    .Select(construct => new UnknownSyntax(number, construct)));
                variables.Take(instruction);
            }
        }
        return found;
    }

    /// <summary>Here-documents that the BuildKit of an older engine would read as instructions.</summary>
    public static IReadOnlyList<UnknownSyntax> OfOldBuildKit(string text, DockerfileParameters parameters, EngineKind engine)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(engine);
        var file = Dockerfile.Parse(text, parameters.Name);
        if (file.Syntax is not null || engine.Major >= EngineWithHereDocuments) return [];
        return [.. file.Instructions.Where(instruction => instruction.HereDocuments.Count > 0)
            .Select(instruction => new UnknownSyntax(instruction.Line, $"{instruction.Word} <<{instruction.HereDocuments[0]}"))];
    }

    private static bool IsTarget(DockerfileInstruction from, string? target, int number) => target is not null
        && (from.Rest.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is [_, _, var name]
            && name.Equals(target, StringComparison.OrdinalIgnoreCase)
            || target == number.ToString(CultureInfo.InvariantCulture));

    private static IEnumerable<string> Of(
        DockerfileInstruction instruction,
        bool isGlobal,
        DockerfileParameters parameters,
        EngineKind engine,
        StageVariables variables)
    {
        var own = instruction.Trigger ?? instruction;
        var word = instruction.Trigger is null ? own.Word : "ONBUILD " + own.Word;
        if (instruction.HereDocuments.Count > 0 && !(engine.IsPodman && engine.Major >= PodmanWithHereDocuments))
            yield return $"{word} <<{instruction.HereDocuments[0]}";
        foreach (var flag in own.Flags.Select(DockerfileInstruction.NameOf))
            if (!Knows(own.Word, flag, engine)) yield return $"{word} --{flag}";
        if (own.Word == "ADD" && own.Sources().FirstOrDefault(source => MayBeGit(source, variables)) is { } git)
            yield return GitAddress().IsMatch(git) ? $"{word} {git}" : $"{word} {git} (which is or may be a git repository)";
        // The value of an ARG before the first FROM may name a base: without what the builder sets itself, another one.
        if (own.Word == "ARG" && isGlobal)
            foreach (Match match in DockerfileSources.Predefined().Matches(own.Rest))
                if (own.Rest[..match.Index].TrimEnd('{').EndsWith('$') && !parameters.Arguments.ContainsKey(match.Value))
                    yield return $"{word} ${match.Value}";
        if (engine.IsPodman) yield break;
        if (own.Word is "FROM"
            && DockerfileSources.Predefined().Match(string.Join(' ', own.Flags) + " " + own.Rest) is { Success: true } inFrom
            && !parameters.Arguments.ContainsKey(inFrom.Value))
            yield return $"${inFrom.Value}";
        // An ARG without a value that nobody gives is empty there: silently another image.
        if (own.Word == "ARG" && !isGlobal)
            foreach (var name in own.Rest.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
                if (DockerfileSources.Predefined().Match(name) is { Success: true } match
                    && match.Value == name
                    && !parameters.Arguments.ContainsKey(name))
                    yield return $"{word} {name}";
    }

    // What is not a flag of any builder is left to the builder: it says so itself.
    private static bool Knows(string word, string flag, EngineKind engine) => (word, flag.ToLowerInvariant()) switch
    {
        ("RUN", "mount") or ("COPY" or "ADD", "chmod") => engine.IsPodman,
        ("RUN", _) => false,
        ("COPY" or "ADD", "link" or "exclude" or "parents" or "checksum" or "keep-git-dir" or "unpack") => false,
        _ => true,
    };

    // A variable that only the base image may give is tried as what would make a repository of the whole.
    private static bool MayBeGit(string source, StageVariables variables) => GitAddress().IsMatch(source)
        || UnknownAs.Any(probe => variables.Expand(source, probe) is not { } expanded || GitAddress().IsMatch(expanded));

    // As BuildKit's ADD tells them: a scheme of git's own, user@host:path, or a path that ends with .git. What begins with
    // github.com/ is a path of the context to it.
    [GeneratedRegex(
        @"^(?:[a-z0-9_-]+@[a-z0-9.-]+:|(?:git|ssh)://|https?://[^#\s?]+\.git(?:[#?]|$))", RegexOptions.IgnoreCase)]
    private static partial Regex GitAddress();
}
