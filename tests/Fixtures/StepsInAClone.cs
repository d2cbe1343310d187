using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.Fixtures;

/// <summary>Steps in a clone: run in process, or stated without being run, and what they left.</summary>
public static class StepsInAClone
{
    /// <summary>Runs a step in process. Its environment is the given one, a home beside the clone and this process' search
    /// path.</summary>
    /// <param name="clone">Where.</param>
    /// <param name="step">The step.</param>
    /// <param name="build">The build number.</param>
    /// <param name="environment">Its environment.</param>
    /// <param name="more">More arguments.</param>
    /// <param name="time">Its clock; null: the machine's.</param>
    /// <param name="stop">Stops it, as a signal would.</param>
    /// <returns>Its exit code and all that it said.</returns>
    public static async Task<(int Exit, string Output)> RunAsync(this GitClone clone, StepCommand step, string build,
        IReadOnlyDictionary<string, string> environment, IEnumerable<string> more, TimeProvider? time = null,
        CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(clone);
        using var text = new StringWriter();
        var output = TextWriter.Synchronized(text);
        var variables = new Dictionary<string, string>(environment) { ["HOME"] = Path.GetDirectoryName(clone.Folder)! };
        variables.TryAdd("PATH", Environment.GetEnvironmentVariable("PATH")!);
        var exit = await StepHost.RunAsync(step, ["--work-tree", clone.Folder, "--build-number", build, .. more], output, output,
            variables, time, stop: stop);
        return (exit, text.ToString());
    }

    /// <summary>Writes the evidence of a step that ended so.</summary>
    /// <param name="clone">Where.</param>
    /// <param name="step">The step's name.</param>
    /// <param name="build">The build number.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="environment">Its environment, such as a signing key; null: empty.</param>
    public static Task StateAsync(this GitClone clone, string step, string build, Outcome outcome,
        IReadOnlyDictionary<string, string>? environment = null) =>
        StateAsync(clone, step, build, _ => Task.FromResult(outcome), environment);

    /// <summary>The same with an end that depends on what the step sees.</summary>
    public static async Task StateAsync(this GitClone clone, string step, string build, Func<ChainRun, Task<Outcome>> end,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        ArgumentNullException.ThrowIfNull(clone);
        Outcome? ended = null;
        var command = new StepCommand(step, "States.", ChainRun.Options, async (context, cancel) =>
        {
            using var run = await ChainRun.OpenAsync(context, cancel);
            return ended = await end(run);
        });
        var (exit, output) = await clone.RunAsync(command, build, environment ?? new Dictionary<string, string>(), []);
        if (exit != ended?.Exit) throw new InvalidOperationException($"{step} could not state anything ({exit}): {output}");
    }

    /// <summary>Path of a file in a step's evidence.</summary>
    public static string Evidence(this GitClone clone, string step, string file = "statement.json")
    {
        ArgumentNullException.ThrowIfNull(clone);
        return Path.Combine(clone.Folder, ".ci-steps", "evidence", step, file);
    }

    /// <summary>Our record in a step's statement: exit, reason, text, hand-over.</summary>
    public static JsonObject Stated(this GitClone clone, string step) =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(clone.Evidence(step)))!["predicate"]!["cisteps"]!;

    /// <summary>What a step handed over.</summary>
    public static T HandedOver<T>(this GitClone clone, string step, JsonTypeInfo<T> form) =>
        clone.Stated(step)["handOver"].Deserialize(form)!;
}
