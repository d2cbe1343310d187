using System.Globalization;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>How a Dockerfile uses an outside image.</summary>
public enum DockerfileUse
{
    /// <summary>A stage is built on it.</summary>
    Base,

    /// <summary>Files are copied out of it, or it is mounted while a command runs.</summary>
    Files,

    /// <summary>It is the front end that reads the Dockerfile (<c># syntax=</c>).</summary>
    FrontEnd,
}

/// <summary>An outside image that a Dockerfile builds on.</summary>
/// <param name="Reference">As the Dockerfile names it, variables replaced.</param>
/// <param name="Line">Where, from 1.</param>
/// <param name="Use">What for.</param>
public sealed record DockerfileSource(string Reference, int Line, DockerfileUse Use)
{
    /// <summary>What its <c>FROM --platform</c> asks for; null when that says nothing.</summary>
    public string? Platform { get; init; }

    /// <summary>Whether the image that comes out is built on it: it stands at the end of the target's chain of FROM.</summary>
    public bool IsFinalBase { get; init; }
}

/// <summary>What a Dockerfile is built with.</summary>
/// <param name="Arguments">Build arguments.</param>
public sealed record DockerfileParameters(IReadOnlyDictionary<string, string> Arguments)
{
    /// <summary>Its path, for messages.</summary>
    public string Name { get; init; } = "Dockerfile";

    /// <summary>Stage to build; null: the last.</summary>
    public string? Target { get; init; }

    /// <summary>The platform that the image is for; null: the engine's.</summary>
    public string? Platform { get; init; }

    /// <summary>The engine's own platform; may be null only where <see cref="DockerfileSources.NeedPlatform"/> says so.</summary>
    public string? EnginePlatform { get; init; }
}

/// <summary>
/// Which images a Dockerfile builds on: what <c>FROM</c>, <c>COPY --from</c>, <c>RUN --mount=from=</c> and <c># syntax=</c> name
/// and no stage of its own is.
/// </summary>
public static partial class DockerfileSources
{
    /// <summary>All outside images up to the target stage, in order, each once for each use. <c>scratch</c> is none.</summary>
    /// <param name="text">The Dockerfile.</param>
    /// <param name="parameters">What it is built with.</param>
    /// <exception cref="UsageException">The target is not a stage, the file has no FROM, or a name in it stays empty.</exception>
    public static IReadOnlyList<DockerfileSource> Read(string text, DockerfileParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(parameters);
        return new Reader(Dockerfile.Parse(text, parameters.Name), parameters).Read();
    }

    /// <summary>What the triggers (<c>ONBUILD</c>) of a base image take from other images.</summary>
    /// <param name="triggers">ONBUILD instructions of the base image, in their order.</param>
    /// <param name="line">Line of the FROM that sets them off.</param>
    public static IReadOnlyList<DockerfileSource> OfTriggers(IReadOnlyList<string> triggers, int line)
    {
        ArgumentNullException.ThrowIfNull(triggers);
        return [.. triggers.SelectMany(trigger => Dockerfile.Parse(trigger, "ONBUILD").Instructions).SelectMany(FilesOf)
            .Select(name => new DockerfileSource(name, line, DockerfileUse.Files))];
    }

    /// <summary>Whether the names of its images depend on the platform, so that the engine's has to be known.</summary>
    public static bool NeedPlatform(string text, string name)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Dockerfile.Parse(text, name).Instructions
            .TakeWhile(instruction => instruction.Word is "ARG")
            .Concat(Dockerfile.Parse(text, name).Instructions
            .Where(instruction => instruction.Word == "FROM"))
                .Any(instruction => Predefined().IsMatch(instruction.Rest + " " + string.Join(' ', instruction.Flags)));
    }

    /// <summary>Names of the build arguments that BuildKit sets by itself.</summary>
    [GeneratedRegex(@"\b(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)\b|\bTARGETSTAGE\b")]
    internal static partial Regex Predefined();

    // What an instruction takes from elsewhere: names of stages and images alike.
    internal static IEnumerable<string> FilesOf(DockerfileInstruction instruction) => instruction.Word switch
    {
        "COPY" => instruction.Values("from"),
        "RUN" => instruction.Values("mount").SelectMany(mount => mount.Split(','))
            .Where(field => field.StartsWith("from=", StringComparison.OrdinalIgnoreCase)).Select(field => field[5..].Trim('"')),
        _ => [],
    };

    private sealed class Reader(Dockerfile file, DockerfileParameters parameters)
    {
        private readonly Dictionary<string, string> values = parameters.EnginePlatform is { } engine
            ? BuildPlatform.Arguments(parameters.Platform ?? engine, engine) : new(StringComparer.Ordinal);

        private readonly List<Stage> stages = [];
        private readonly List<DockerfileSource> found = [];

        public IReadOnlyList<DockerfileSource> Read()
        {
            // Whoever gives a predefined argument himself has his own value.
            values["TARGETSTAGE"] = parameters.Target ?? "default";
            foreach (var name in values.Keys.ToList())
                if (parameters.Arguments.TryGetValue(name, out var given)) values[name] = given;
            if (file.Syntax is { } syntax) Add(new DockerfileSource(syntax.Value, syntax.Line, DockerfileUse.FrontEnd));
            var used = UpToTarget();
            MarkFinal(used);
            foreach (var stage in used) Collect(stage);
            return found;
        }

        // Only arguments before the first FROM may stand in a FROM.
        private List<Stage> UpToTarget()
        {
            foreach (var instruction in file.Instructions)
            {
                if (instruction.Word == "FROM") stages.Add(From(instruction));
                else if (stages.Count > 0) stages[^1].Instructions.Add(instruction);
                else if (instruction.Word == "ARG") Argument(instruction);
            }
            if (stages.Count == 0) throw new UsageException($"\"{parameters.Name}\" has no FROM");
            if (parameters.Target is not { } target) return stages;
            var place = stages.FindLastIndex(stage => stage.IsNamed(target));
            if (place < 0
                && int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number < stages.Count)
                place = number;
            if (place >= 0) return stages[..(place + 1)];
            var names = string.Join(", ", stages.Select(stage => stage.Name).OfType<string>());
            throw new UsageException(
                $"\"{parameters.Name}\" has no stage \"{target}\"" + (names.Length > 0 ? $"; it has {names}" : ""));
        }

        private void Argument(DockerfileInstruction instruction)
        {
            foreach (var argument in ShellWords.Split(instruction.Rest, keepsQuotes: true, keepsEscapes: true) ?? [])
            {
                var equals = argument.IndexOf('=', StringComparison.Ordinal);
                var name = equals < 0 ? argument : argument[..equals];
                if (parameters.Arguments.TryGetValue(name, out var given)) values[name] = given;
                else if (equals >= 0) values[name] = Expand(argument[(equals + 1)..], instruction.Line);
            }
        }

        private Stage From(DockerfileInstruction instruction)
        {
            var parts = instruction.Rest.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length == 0) throw Wrong(instruction.Line, "FROM is without an image");
            var image = Expand(parts[0], instruction.Line);
            if (image.Length == 0)
                throw Wrong(instruction.Line,
                    $"\"FROM {parts[0]}\" names nothing: give the argument a value before the first FROM, " +
                    "or image.args in ci-steps.yaml");
            var name = parts is [_, var word, var given] && word.Equals("AS", StringComparison.OrdinalIgnoreCase) ? given : null;
            var platform = instruction.Values("platform")
                .Select(value => Expand(value, instruction.Line))
                .LastOrDefault(value => value.Length > 0);
            return new Stage(instruction.Line, name, image, platform, stages.FindLast(stage => stage.IsNamed(image)));
        }

        private static void MarkFinal(List<Stage> used)
        {
            var last = used[^1];
            while (last.Parent is { } parent) last = parent;
            last.IsFinalBase = true;
        }

        private void Collect(Stage stage)
        {
            if (stage.Parent is null && stage.Image != "scratch")
                Add(new DockerfileSource(stage.Image, stage.Line, DockerfileUse.Base)
                {
                    Platform = stage.Platform,
                    IsFinalBase = stage.IsFinalBase
                });
            // Triggers of a stage of this file go off in the stages that are built on it.
            var triggers = stage.Parent?.Instructions.Select(instruction => instruction.Trigger).OfType<DockerfileInstruction>()
                ?? [];
            foreach (var instruction in triggers.Concat(stage.Instructions))
                foreach (var name in FilesOf(instruction))
                {
                    if (name.Contains('$', StringComparison.Ordinal))
                        throw Wrong(instruction.Line,
                            $"\"from={name}\" has a variable, which is not replaced there: " +
                            "name the image in a FROM of its own and take the files from that stage");
                    if (name.Length > 0 && name != "scratch" && !IsStage(name))
                        Add(new DockerfileSource(name, instruction.Line, DockerfileUse.Files));
                }
        }

        private bool IsStage(string name) => stages.Exists(stage => stage.IsNamed(name))
            || (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < stages.Count);

        private void Add(DockerfileSource source)
        {
            if (!ImageReference.TryParse(source.Reference, out _, out var why))
                throw Wrong(source.Line, $"\"{source.Reference}\" is not an image reference: {why}");
            if (!found.Exists(
                known => known.Reference == source.Reference
                    && known.Use == source.Use
                    && known.Platform == source.Platform
                    && known.IsFinalBase == source.IsFinalBase))
                found.Add(source);
        }

        private string Expand(string text, int line)
        {
            try
            {
                return ShellWords.Expand(text, file.Escape, values.GetValueOrDefault);
            }
            catch (UsageException failure)
            {
                throw Wrong(line, failure.Message);
            }
        }

        private UsageException Wrong(int line, string what) => new($"{parameters.Name}:{line}: {what}");
    }

    private sealed class Stage(int line, string? name, string image, string? platform, Stage? parent)
    {
        public int Line => line;

        public string? Name => name;

        public string Image => image;

        public string? Platform => platform;

        public Stage? Parent => parent;

        public bool IsFinalBase { get; set; }

        public List<DockerfileInstruction> Instructions { get; } = [];

        public bool IsNamed(string other) => string.Equals(name, other, StringComparison.OrdinalIgnoreCase);
    }
}
