using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace CiSteps.Hosting.Evidence;

/// <summary>What an earlier step of a chain stated.</summary>
/// <param name="Step">Which step.</param>
/// <param name="Run">Which run it belongs to.</param>
/// <param name="Exit">How the step ended, one of <see cref="ExitCode"/>.</param>
/// <param name="Reason">The outcome's reason.</param>
/// <param name="Text">The outcome's sentence.</param>
/// <param name="Subjects">What it speaks of.</param>
/// <param name="PredicateType">in-toto predicate type.</param>
/// <param name="Predicate">The whole predicate.</param>
/// <param name="HandOver">The typed hand-over as JSON; see <see cref="HandOverAs{T}"/>.</param>
/// <param name="StartedOn">When the step began.</param>
/// <param name="FinishedOn">When the step ended.</param>
public sealed record StepEvidence(string Step, RunIdentity Run, int Exit, string Reason, string Text, IReadOnlyList<Subject> Subjects,
    string PredicateType, JsonObject Predicate, JsonNode? HandOver, DateTimeOffset StartedOn, DateTimeOffset FinishedOn)
{
    /// <summary>Whether a valid signature by the expected key was on it. False when no key was given to check with.</summary>
    public bool IsSigned { get; init; }

    /// <summary>The hand-over as its type, or null when there is none.</summary>
    /// <exception cref="UsageException">It has another shape than this version writes.</exception>
    public T? HandOverAs<T>(JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return HandOver?.Deserialize(type);
        }
        catch (JsonException error)
        {
            throw new UsageException($"the hand-over of \"{Step}\" is not what this version reads: {error.Message}; run {Step} again with the same version", error);
        }
    }
}

/// <summary>The folder <c>.ci-steps/evidence</c>: one statement per step. What is of another commit or build number is a leftover and is never returned.</summary>
public sealed class EvidenceStore
{
    private readonly StepContext? context;

    internal EvidenceStore(string folder, StepContext? context) => (Folder, this.context) = (folder, context);

    /// <summary>A store outside a step, for reading all there is.</summary>
    public EvidenceStore(string folder) : this(folder, null)
    {
    }

    /// <summary>Absolute path of the folder.</summary>
    public string Folder { get; }

    /// <summary>The folder of one step; files besides the statement go there too (logs, reports) and travel with it.</summary>
    public string FolderOf(string step) => Path.Combine(Folder, step);

    /// <summary>What the step stated in this very run; false, with the reason in a sentence, when there is nothing, or only a leftover, or something unreadable.</summary>
    public bool TryRead(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        var run = context?.Run ?? throw new InvalidOperationException("evidence is read after the run is identified");
        if (!TryReadAny(step, out evidence, out why)) return false;
        if (evidence.Run.Commit == run.Commit && evidence.Run.BuildNumber == run.BuildNumber) return true;
        why = $"the evidence of \"{step}\" is of commit {evidence.Run.ShortCommit}, build {evidence.Run.BuildNumber}; this run is commit {run.ShortCommit}, build {run.BuildNumber}";
        evidence = null;
        return false;
    }

    /// <summary>What the step stated in this run and finished with success.</summary>
    public bool TryReadDone(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        if (!TryRead(step, out evidence, out why)) return false;
        if (evidence.Exit == ExitCode.Done) return true;
        why = $"\"{step}\" of this run ended with {evidence.Reason}: {evidence.Text}";
        evidence = null;
        return false;
    }

    /// <summary>Whatever statement is in the step's folder, of any run.</summary>
    public bool TryReadAny(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        evidence = null;
        var path = Path.Combine(FolderOf(step), StatementFile);
        if (!File.Exists(path))
        {
            why = $"there is no evidence of \"{step}\" in {Folder}";
            return false;
        }
        try
        {
            var bytes = File.ReadAllBytes(path);
            evidence = JsonNode.Parse(bytes) is JsonObject statement ? StatementJson.Read(statement) : null;
            if (evidence is not null) evidence = evidence with { IsSigned = Signing.IsSigned(Path.Combine(FolderOf(step), EnvelopeFile), bytes, context) };
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException or InvalidOperationException or FormatException)
        {
            why = $"the evidence of \"{step}\" in {path} cannot be read: {error.Message}";
            return false;
        }
        if (evidence is not null && evidence.Step != step)
        {
            why = $"{path} is a statement of \"{evidence.Step}\", not of \"{step}\"";
            evidence = null;
            return false;
        }
        why = evidence is null ? $"{path} is no statement of a CiSteps step; run \"{step}\" again" : "";
        return evidence is not null;
    }

    internal const string StatementFile = "statement.json";
    internal const string EnvelopeFile = "statement.dsse.json";

    internal void Write(Outcome outcome, DateTimeOffset started)
    {
        var step = context!.Step;
        var statement = StatementJson.Write(step, context.Run!, outcome, started, context.Time.GetUtcNow());
        var folder = FolderOf(step);
        Directory.CreateDirectory(folder);
        // Git must never see evidence, whatever the repository's own ignore file says.
        var ignore = Path.Combine(Path.GetDirectoryName(Folder)!, ".gitignore");
        if (!File.Exists(ignore)) File.WriteAllText(ignore, "*\n");
        var text = context.Log.Mask.Apply(statement.ToJsonString(Indented));
        var bytes = Encoding.UTF8.GetBytes(text + "\n");
        WholeFile.Write(Path.Combine(folder, StatementFile), stream => stream.Write(bytes));
        var envelope = Path.Combine(folder, EnvelopeFile);
        if (Signing.Sign(bytes, context) is { } signed) WholeFile.Write(envelope, stream => stream.Write(signed));
        else File.Delete(envelope);
    }

    private static JsonSerializerOptions Indented { get; } = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = HandOverJson.Default,
    };
}
