using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using CiSteps.Hosting.Json;

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
public sealed record StepEvidence(
    string Step,
    RunIdentity Run,
    int Exit,
    string Reason,
    string Text,
    IReadOnlyList<Subject> Subjects,
    string PredicateType,
    JsonObject Predicate,
    JsonNode? HandOver,
    DateTimeOffset StartedOn,
    DateTimeOffset FinishedOn)
{
    /// <summary>
    /// Whose fault it was that the step did not end well; unknown where an earlier version did not write it down.
    /// </summary>
    public Fault Fault { get; init; } = Fault.Unknown;

    /// <summary>Whether a valid signature by the expected key was on it. False when no key was given to check with.</summary>
    public bool IsSigned { get; init; }

    /// <summary>SHA-256 of the statement as it was read, hexadecimal.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>The hand-over as its type, or null when there is none.</summary>
    /// <exception cref="UsageException">It has another shape than this version writes.</exception>
    public T? HandOverAs<T>(JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return HandOver.As(type);
        }
        catch (OutsideJsonException error)
        {
            throw new UsageException(
                $"the hand-over of \"{Step}\" is not what this version reads: {error.What}; " +
                $"run {Step} again with the same version",
                error);
        }
    }

    /// <summary>The hand-over of a step that has to have one: none is not an empty one.</summary>
    /// <exception cref="UsageException">There is none, or it has another shape than this version writes.</exception>
    public T RequiredHandOverAs<T>(JsonTypeInfo<T> type) where T : class => HandOverAs(type)
        ?? throw new UsageException($"\"{Step}\" of this run ended with \"{Reason}\" and handed nothing over; run {Step} again " +
            "with the same version");
}

/// <summary>What is to be made of a step's evidence.</summary>
public enum EvidenceState
{
    /// <summary>It is of this run and can be read.</summary>
    Sound,

    /// <summary>There is none.</summary>
    Missing,

    /// <summary>It is of another repository, branch, commit or build number.</summary>
    OfAnotherRun,

    /// <summary>It is broken, or not what this version writes.</summary>
    Unreadable,

    /// <summary>There is a key, and the signature is broken, of another key or of another statement.</summary>
    BadSignature,
}

/// <summary>A step's evidence, or why there is none to use.</summary>
/// <param name="State">What is to be made of it.</param>
/// <param name="Evidence">The evidence when it is sound; null otherwise.</param>
/// <param name="Why">Why not, in a sentence; empty when it is sound.</param>
public sealed record EvidenceFound(EvidenceState State, StepEvidence? Evidence, string Why);

/// <summary>The folder <c>.ci-steps/evidence</c>: one statement per step. What is of another repository, branch, commit or build
/// number is a leftover and is never returned.</summary>
public sealed class EvidenceStore
{
    private readonly StepContext? context;
    private (byte[]? Statement, byte[]? Envelope, FileFault? Fault)? earlier;

    internal EvidenceStore(string folder, StepContext? context) => (Folder, this.context) = (folder, context);

    /// <summary>A store outside a step, for reading all there is.</summary>
    public EvidenceStore(string folder) : this(folder, null)
    {
    }

    /// <summary>Absolute path of the folder.</summary>
    public string Folder { get; }

    /// <summary>Steps that have a folder here, and the step itself.</summary>
    public IReadOnlyList<string> Steps => [.. (Directory.Exists(Folder)
        ? Directory.GetDirectories(Folder).Select(folder => Path.GetFileName(folder)) : [])
        .Union(context is null ? [] : [context.Step], StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>The folder of one step; files besides the statement go there too (logs, reports) and travel with it.</summary>
    public string FolderOf(string step) => Path.Combine(Folder, step);

    /// <summary>What the step stated in this very run; false, with the reason in a sentence, when there is nothing, or only a
    /// leftover. Of the step itself it is what its run before stated.</summary>
    /// <exception cref="UsageException">It is broken.</exception>
    /// <exception cref="RefusedException">There is a key, and the signature is broken or of another key.</exception>
    public bool TryRead(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        var found = Find(step);
        (evidence, why) = (found.Evidence, found.Why);
        return found.State switch
        {
            EvidenceState.Unreadable => throw new UsageException(why),
            EvidenceState.BadSignature => throw new RefusedException("bad-signature", why),
            _ => evidence is not null,
        };
    }

    /// <summary>What the step stated in this run and finished with success.</summary>
    /// <exception cref="UsageException">It is broken.</exception>
    /// <exception cref="RefusedException">There is a key, and the signature is broken or of another key.</exception>
    public bool TryReadDone(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        if (!TryRead(step, out evidence, out why)) return false;
        if (evidence.Exit == ExitCode.Done) return true;
        why = $"\"{step}\" of this run ended with {evidence.Reason}: {evidence.Text}";
        evidence = null;
        return false;
    }

    /// <summary>What the step stated in this very run, or why that cannot be used, for who has to go on either way.</summary>
    public EvidenceFound Find(string step)
    {
        var run = context?.Run ?? throw new InvalidOperationException("evidence is read after the run is identified");
        var found = FindAny(step);
        if (found.Evidence is not { } evidence) return found;
        var of = evidence.Run;
        if (of.Commit != run.Commit || of.BuildNumber != run.BuildNumber)
            return OfAnother($"of commit {of.ShortCommit}, build {of.BuildNumber}; this run is commit {run.ShortCommit}, build " +
                $"{run.BuildNumber}");
        if (of.Branch != run.Branch) return OfAnother($"of branch \"{of.Branch}\"; this run is of \"{run.Branch}\"");
        if (of.Repository != run.Repository) return OfAnother($"of the repository \"{of.Repository}\"; this run is of " +
            $"\"{run.Repository}\"");
        // What is of another run may well be signed by another key.
        return IsForged(step) ? new(EvidenceState.BadSignature, null,
                $"the signature on the evidence of \"{step}\" in {FolderOf(step)} is broken, or of another key than " +
                    $"{Signing.VerificationKey} or {Signing.SigningKey} gives here: " +
                $"somebody changed it, or the steps have different keys; run {step} again with the chain's key")
            : found;

        EvidenceFound OfAnother(string what) => new(EvidenceState.OfAnotherRun, null, $"the evidence of \"{step}\" is {what}");
    }

    /// <summary>Whatever statement is in the step's folder, of any run; nothing is said of its signature but whether it is
    /// valid.</summary>
    public bool TryReadAny(string step, [NotNullWhen(true)] out StepEvidence? evidence, out string why)
    {
        var found = FindAny(step);
        (evidence, why) = (found.Evidence, found.Why);
        return evidence is not null;
    }

    private EvidenceFound FindAny(string step)
    {
        var path = Path.Combine(FolderOf(step), StatementFile);
        var (statement, envelope, fault) = ReadFiles(step);
        try
        {
            if (fault is not null)
            {
                path = fault.Path;
                throw new OutsideJsonException(path, "", JsonFault.Malformed, fault.What);
            }
            if (statement is null) return new(EvidenceState.Missing, null, $"there is no evidence of \"{step}\" in {Folder}");
            if (!System.Text.Unicode.Utf8.IsValid(statement))
                throw new OutsideJsonException(path, "", JsonFault.Malformed, "it is not valid UTF-8");
            var evidence = StatementJson.Read(NoNullInLists(OutsideJson.ReadObject(statement, path))) with
            {
                IsSigned = Signing.Judge(envelope, statement, context) == SignatureState.Good,
                Sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(statement)),
            };
            return evidence.Step == step ? new(EvidenceState.Sound, evidence, "")
                : new(EvidenceState.Unreadable, null, $"{path} is a statement of \"{evidence.Step}\", not of \"{step}\"; run " +
                    $"\"{step}\" again");
        }
        catch (OutsideJsonException error)
        {
            return new(EvidenceState.Unreadable, null,
                $"the evidence of \"{step}\" in {path} cannot be read: {error.What}; run \"{step}\" again");
        }
    }

    // No list of a statement has room for one, and whoever goes through a hand-over does not expect it.
    private static JsonObject NoNullInLists(JsonObject statement)
    {
        Check(statement);
        return statement;

        static OutsideJsonException HasNull(string path) => new("", path, JsonFault.WrongType, $"{path} has a null in it");

        static void Check(JsonNode node)
        {
            if (node is JsonObject map)
            {
                foreach (var (_, value) in map)
                    if (value is not null) Check(value);
            }
            else if (node is JsonArray list)
            {
                foreach (var value in list) Check(value ?? throw HasNull(JsonMembers.PathOf(list)));
            }
        }
    }

    private bool IsForged(string step)
    {
        var (statement, envelope, _) = ReadFiles(step);
        return statement is not null && Signing.Judge(envelope, statement, context) == SignatureState.Bad;
    }

    // Which of the files cannot be used, and why.
    private sealed record FileFault(string Path, string What);

    private (byte[]? Statement, byte[]? Envelope, FileFault? Fault) ReadFiles(string step)
    {
        if (step == context?.Step && earlier is { } kept) return kept;
        // Whatever lies behind a link was not put there by a step of this work tree.
        FileFault? fault = LinkOnTheWayTo(step) is var (link, _)
            ? new(link, "it is a link, not a folder of this work tree")
            : null;
        if (fault is not null) return (null, null, fault);
        var (statement, envelope) = (Read(StatementFile), Read(EnvelopeFile));
        return fault is null ? (statement, envelope, null) : (null, null, fault);

        byte[]? Read(string name)
        {
            var path = Path.Combine(FolderOf(step), name);
            try
            {
                // Only what is not there is missing: a link or a folder in a file's place was put there by somebody.
                if (new FileInfo(path).LinkTarget is not null) fault ??= new(path, "it is a link, not a regular file");
                else if (Directory.Exists(path)) fault ??= new(path, "it is a folder, not a regular file");
                else if (File.Exists(path)) return OutsideJson.ReadFile(path);
            }
            catch (OutsideJsonException error)
            {
                fault ??= new(path, error.What);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                fault ??= new(path, error.Message);
            }
            return null;
        }
    }

    private (string Path, string Target)? LinkOnTheWayTo(string step)
    {
        foreach (var path in (string[])[Path.GetDirectoryName(Folder)!, Folder, FolderOf(step)])
            if (new FileInfo(path).LinkTarget is { } target) return (path, target);
        return null;
    }

    // A change can commit a link; whoever followed it would clear away or overwrite what is not evidence.
    private void RefuseLinks(string step)
    {
        if (LinkOnTheWayTo(step) is var (path, target))
            throw new UsageException($"\"{path}\" is a link (to \"{target}\"), and evidence is written into real folders only; " +
                "remove the link, and if it is committed, remove it from the repository");
    }

    /// <summary>Clears away what an earlier run of this step left, so that it is never taken for this run's; its statement can
    /// still be read here.</summary>
    /// <param name="keeps">Names of files that outlive a run.</param>
    /// <exception cref="UsageException">It cannot be cleared away, or a link stands in a folder's place.</exception>
    internal void Begin(IReadOnlyList<string> keeps)
    {
        var folder = FolderOf(context!.Step);
        try
        {
            RefuseLinks(context.Step);
            earlier = ReadFiles(context.Step);
            if (!Directory.Exists(folder)) return;
            foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos()
                .Where(entry => !keeps.Contains(entry.Name) || entry.LinkTarget is not null))
            {
                if (entry is DirectoryInfo inner && entry.LinkTarget is null) inner.Delete(recursive: true);
                else entry.Delete();
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"what an earlier run of {context.Step} left in \"{folder}\" cannot be cleared away " +
                $"({error.Message}), and must not be taken for this run's: remove the folder, or make it writable", error);
        }
    }

    internal const string StatementFile = "statement.json";
    internal const string EnvelopeFile = "statement.dsse.json";

    internal void Write(Outcome outcome, DateTimeOffset started)
    {
        var step = context!.Step;
        var statement = StatementJson.Write(step, context.Run!, outcome, started, context.Time.GetUtcNow());
        var folder = FolderOf(step);
        // Again: what the step ran may have put a link there.
        RefuseLinks(step);
        Directory.CreateDirectory(folder);
        // Git must never see evidence, whatever the repository's own ignore file says.
        var ignore = Path.Combine(Path.GetDirectoryName(Folder)!, ".gitignore");
        if (new FileInfo(ignore).LinkTarget is not null) File.Delete(ignore);
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
