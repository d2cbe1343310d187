using System.Text.Json.Nodes;

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

/// <summary>An in-toto Statement v1; the evidence's own have our record of the run in the predicate, member <c>cisteps</c>.</summary>
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

    internal static JsonObject Write(string step, RunIdentity run, Outcome outcome, DateTimeOffset started, DateTimeOffset finished)
    {
        var predicate = (JsonObject)outcome.Predicate.DeepClone();
        var values = new JsonObject();
        foreach (var (name, value) in outcome.Values) values[name] = value;
        predicate["cisteps"] = new JsonObject
        {
            ["step"] = step,
            ["repository"] = run.Repository,
            ["branch"] = run.Branch,
            ["defaultBranch"] = run.IsDefaultBranch,
            ["commit"] = run.Commit,
            ["buildNumber"] = run.BuildNumber,
            ["dirty"] = run.Dirty,
            ["startedOn"] = started.ToString("O"),
            ["finishedOn"] = finished.ToString("O"),
            ["exit"] = outcome.Exit,
            ["reason"] = outcome.Reason,
            ["text"] = outcome.Text,
            ["values"] = values,
            ["handOver"] = outcome.HandOver?.DeepClone(),
        };
        return Write(outcome.PredicateType, predicate, [Subject.Commit(run.Repository, run.Commit), .. outcome.Subjects]);
    }

    internal static StepEvidence? Read(JsonObject statement)
    {
        if ((string?)statement["_type"] != Type || statement["predicate"]?["cisteps"] is not JsonObject record) return null;
        var subjects = new List<Subject>();
        foreach (var node in statement["subject"] as JsonArray ?? [])
            foreach (var (algorithm, digest) in node?["digest"] as JsonObject ?? [])
                subjects.Add(new((string?)node?["name"] ?? "", algorithm, (string?)digest ?? ""));
        if ((string?)record["step"] is not { } step || (string?)record["commit"] is not { } commit ||
            (string?)record["buildNumber"] is not { } number || record["exit"] is not JsonValue exit) return null;
        return new StepEvidence(step,
            new RunIdentity((string?)record["repository"] ?? "", (string?)record["branch"] ?? "", (bool?)record["defaultBranch"] ?? false,
                commit, number, (bool?)record["dirty"] ?? false),
            (int)exit, (string?)record["reason"] ?? "", (string?)record["text"] ?? "", subjects, (string?)statement["predicateType"] ?? "",
            (JsonObject)statement["predicate"]!, record["handOver"], Date(record["startedOn"]), Date(record["finishedOn"]));

        static DateTimeOffset Date(JsonNode? node) =>
            DateTimeOffset.TryParse((string?)node, System.Globalization.CultureInfo.InvariantCulture, out var date) ? date : default;
    }

    private static JsonObject SubjectJson(Subject subject) =>
        new() { ["name"] = subject.Name, ["digest"] = new JsonObject { [subject.Algorithm] = subject.Digest } };
}
