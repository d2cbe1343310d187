using System.Globalization;
using System.Text.Json.Nodes;
using CiSteps.Hosting.Json;

namespace CiSteps.Hosting.Evidence;

/// <summary>What a statement speaks of.</summary>
/// <param name="Name">An image name without tag, or <c>git+</c> and a repository's address.</param>
/// <param name="Algorithm"><c>sha256</c> or <c>gitCommit</c>.</param>
/// <param name="Digest">Hexadecimal digits, without the algorithm.</param>
public sealed record Subject(string Name, string Algorithm, string Digest)
{
    /// <summary>A commit of a repository.</summary>
    public static Subject Commit(string repository, string commit) => new("git+" + repository, "gitCommit", commit);

    /// <summary>An image's manifest by its digest (<c>sha256:…</c>).</summary>
    public static Subject Image(string name, string digest)
    {
        ArgumentNullException.ThrowIfNull(digest);
        var colon = digest.IndexOf(':', StringComparison.Ordinal);
        return new(name, digest[..colon], digest[(colon + 1)..]);
    }
}

/// <summary>Predicate types that the steps attest with.</summary>
public static class PredicateTypes
{
    /// <summary>in-toto test result.</summary>
    public const string TestResult = "https://in-toto.io/attestation/test-result/v0.1";

    /// <summary>SLSA provenance.</summary>
    public const string Provenance = "https://slsa.dev/provenance/v1";

    /// <summary>SLSA verification summary.</summary>
    public const string VerificationSummary = "https://slsa.dev/verification_summary/v1";

    /// <summary>How a step ended, where no standard predicate fits.</summary>
    public const string StepOutcome = "https://cisteps.dev/step-outcome/v1";
}

/// <summary>
/// An in-toto Statement v1; the evidence's own have our record of the run in the predicate, member <c>cisteps</c>.
/// </summary>
public static class StatementJson
{
    private const string Type = "https://in-toto.io/Statement/v1";

    /// <summary>Writes a statement.</summary>
    /// <param name="predicateType">What the predicate is; one of <see cref="PredicateTypes"/>.</param>
    /// <param name="predicate">What is said.</param>
    /// <param name="subjects">What it is said of.</param>
    public static JsonObject Write(string predicateType, JsonObject predicate, params IReadOnlyList<Subject> subjects) => new()
    {
        ["_type"] = Type,
        ["subject"] = new JsonArray([.. subjects.Select(subject => (JsonNode)SubjectJson(subject))]),
        ["predicateType"] = predicateType,
        ["predicate"] = predicate,
    };

    internal static JsonObject Write(
        string step, RunIdentity run, Outcome outcome, DateTimeOffset started, DateTimeOffset finished)
    {
        var predicate = (JsonObject)outcome.Predicate.DeepClone();
        var values = new JsonObject();
        foreach (var (name, value) in outcome.Values) values[name] = value;
        predicate["cisteps"] = new JsonObject
        {
            ["step"] = step,
            ["repository"] = run.Repository,
            ["branch"] = run.Branch,
            ["targetBranch"] = run.IsTargetBranch,
            ["commit"] = run.Commit,
            ["buildNumber"] = run.BuildNumber,
            ["dirty"] = run.Dirty,
            ["baseUnknown"] = run.BaseUnknown,
            ["policyCommit"] = run.PolicyCommit,
            ["startedOn"] = started.ToString("O"),
            ["finishedOn"] = finished.ToString("O"),
            ["exit"] = outcome.Exit,
            ["reason"] = outcome.Reason,
            ["text"] = outcome.Text,
            ["fault"] = outcome.Fault.Word(),
            ["values"] = values,
            ["handOver"] = outcome.HandOver?.DeepClone(),
        };
        return Write(outcome.PredicateType, predicate, [Subject.Commit(run.Repository, run.Commit), .. outcome.Subjects]);
    }

    /// <exception cref="OutsideJsonException">It is not a statement that this version writes.</exception>
    internal static StepEvidence Read(JsonObject statement)
    {
        if (statement.Text("_type") != Type || statement.Map("predicate") is not { } predicate ||
            predicate.Map("cisteps") is not { } record)
            throw new OutsideJsonException("", "", JsonFault.WrongType, "it is not a statement of a CiSteps step");
        var subjects = new List<Subject>();
        foreach (var subject in statement.Objects("subject"))
            foreach (var (algorithm, _) in subject.Map("digest") ?? throw Lacks(subject, "digest"))
                subjects.Add(new(Text(subject, "name"), algorithm, Text(subject["digest"]!, algorithm)));
        var (commit, predicateType) = (Text(record, "commit"), Text(statement, "predicateType"));
        if (!subjects.Exists(subject => subject.Algorithm == "gitCommit" && subject.Digest == commit))
            throw Wrong("subject", $"its subject is not the commit \"{commit}\" that it says it is of");
        if (predicateType is not (PredicateTypes.TestResult or PredicateTypes.Provenance or PredicateTypes.VerificationSummary
            or PredicateTypes.StepOutcome))
            throw Wrong("predicateType", $"its predicateType \"{predicateType}\" is not one of a CiSteps step");
        if (predicateType == PredicateTypes.TestResult && Exit() == ExitCode.Done
            && predicate.Text("result") is not ("PASSED" or "WARNED"))
            throw Wrong("predicate.result", $"its result \"{predicate.Text("result")}\" contradicts its exit code 0");
        return new StepEvidence(Text(record, "step"),
            new RunIdentity(Text(record, "repository"), Text(record, "branch"), Flag("targetBranch"), commit,
                Text(record, "buildNumber"), Flag("dirty"))
            {
                BaseUnknown = Flag("baseUnknown"),
                PolicyCommit = record.Text("policyCommit"),
            },
            Exit(), Text(record, "reason"), Text(record, "text"), subjects, predicateType,
            predicate, record["handOver"], Date("startedOn"), Date("finishedOn"))
        {
            Fault = Faults.Read(record.Text("fault")),
        };

        static OutsideJsonException Wrong(string path, string what) => new("", path, JsonFault.WrongType, what);

        bool Flag(string name) => record.Flag(name) ?? throw Lacks(record, name);

        int Exit() =>
            record.Number("exit") is { } exit and >= int.MinValue and <= int.MaxValue ? (int)exit : throw Lacks(record, "exit");

        DateTimeOffset Date(string name) => DateTimeOffset.TryParse(Text(record, name), CultureInfo.InvariantCulture,
            out var date) ? date
            : throw new OutsideJsonException("", JsonMembers.PathOf(record[name]!), JsonFault.WrongType,
                $"{JsonMembers.PathOf(record[name]!)} is not a point in time");
    }

    private static string Text(JsonNode from, string name) => from.Text(name) ?? throw Lacks(from, name);

    private static OutsideJsonException Lacks(JsonNode from, string name)
    {
        var path = JsonMembers.PathOf(from) is { Length: > 0 } inside ? $"{inside}.{name}" : name;
        return new("", path, JsonFault.WrongType, $"{path} is missing or not what belongs there");
    }

    private static JsonObject SubjectJson(Subject subject) =>
        new() { ["name"] = subject.Name, ["digest"] = new JsonObject { [subject.Algorithm] = subject.Digest } };
}
