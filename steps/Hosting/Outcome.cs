using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Hosting;

/// <summary>What a step concluded: how it ends, why in one sentence, and what it hands over.</summary>
public sealed record Outcome
{
    private Outcome(int exit, string reason, string text, Fault fault) =>
        (Exit, Reason, Text, Fault) = (exit, reason, text, fault);

    /// <summary>One of <see cref="ExitCode"/>.</summary>
    public int Exit { get; }

    /// <summary>
    /// Kebab-case word; with the step's name in front it is the problem's identity (<c>merge.conflict</c>). "done" for success.
    /// </summary>
    public string Reason { get; }

    /// <summary>One sentence for people: what happened, or what, why, and what to do next.</summary>
    public string Text { get; }

    /// <summary>Whose fault it was; it decides who is told.</summary>
    public Fault Fault { get; }

    /// <summary>What was concluded about (images, commits besides the run's own). The run's commit is always a subject.</summary>
    public IReadOnlyList<Subject> Subjects { get; private init; } = [];

    /// <summary>in-toto predicate type; <see cref="PredicateTypes.StepOutcome"/> unless the step sets another.</summary>
    public string PredicateType { get; private init; } = PredicateTypes.StepOutcome;

    /// <summary>The predicate's standard members, as its type defines them.</summary>
    public JsonObject Predicate { get; private init; } = [];

    /// <summary>The typed hand-over for the steps that follow, as JSON; null when there is none.</summary>
    public JsonNode? HandOver { get; private init; }

    /// <summary>Single values for the build server (<c>setParameter</c>) and for people, by name.</summary>
    public IReadOnlyDictionary<string, string> Values { get; private init; } =
        new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The step finished, or there was nothing to do.</summary>
    public static Outcome Done(string text) => new(ExitCode.Done, "done", text, Fault.Nobody);

    /// <summary>The step worked and the answer is no.</summary>
    public static Outcome Refused(string reason, string text, Fault fault = Fault.Change) =>
        new(ExitCode.Refused, reason, text, fault);

    /// <summary>The step judged, and its plan says no.</summary>
    public static Outcome Refused(Refusal refusal) => Refused(refusal.Reason, refusal.Text, refusal.Fault);

    /// <summary>Something outside was not to be had in time.</summary>
    public static Outcome Unavailable(string reason, string text) => new(ExitCode.Unavailable, reason, text, Fault.World);

    /// <summary>Bad input that shows only once the step has read the world.</summary>
    public static Outcome Usage(string text, Fault fault = Fault.Unknown) => new(ExitCode.Usage, "usage", text, fault);

    internal static Outcome Bug(string text) => new(ExitCode.Bug, "bug", text, Fault.Environment);

    /// <summary>The step was asked to stop, and says what is.</summary>
    public static Outcome Cancelled(string text) => new(ExitCode.Cancelled, "cancelled", text, Fault.Nobody);

    /// <summary>Adds one named value for the build server and the closing line.</summary>
    public Outcome With(string name, string value) =>
        this with
        {
            Values = new SortedDictionary<string, string>(Values.ToDictionary(), StringComparer.Ordinal) { [name] = value }
        };

    /// <summary>Adds the typed hand-over (see <see cref="Evidence.HandOverJson"/> for the types' serialisers).</summary>
    public Outcome HandingOver<T>(T handOver, JsonTypeInfo<T> type) =>
        this with { HandOver = System.Text.Json.JsonSerializer.SerializeToNode(handOver, type) };

    /// <summary>Sets the in-toto predicate and the subjects it speaks of.</summary>
    public Outcome Attesting(string predicateType, JsonObject predicate, params IReadOnlyList<Subject> subjects) =>
        this with { PredicateType = predicateType, Predicate = predicate, Subjects = subjects };
}
