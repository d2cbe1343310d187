using CiSteps.Hosting;

namespace CiSteps.TestReports;

/// <summary>What a step that tests leaves beside its statement: all results in one JSON form, and as JUnit.</summary>
public static class ResultFiles
{
    /// <summary>Name of the file in <see cref="ResultsJson"/>'s form.</summary>
    public const string Json = "results.json";

    /// <summary>Name of the file in JUnit's form.</summary>
    public const string JUnit = "junit.xml";

    /// <summary>Writes both.</summary>
    /// <param name="folder">The step's evidence.</param>
    /// <param name="runs">All runs.</param>
    /// <returns>The files' paths.</returns>
    public static IReadOnlyList<string> Write(string folder, IReadOnlyList<FinishedRun> runs)
    {
        var (json, junit) = (Path.Combine(folder, Json), Path.Combine(folder, JUnit));
        WholeFile.Write(json, stream => ResultsJson.Write(stream, runs));
        WholeFile.Write(junit, stream => JUnitWriter.Write(stream, runs));
        return [json, junit];
    }
}
