using CiSteps.Hosting;

namespace CiSteps.Pipeline.Yaml;

/// <summary>All that is wrong with a file, each with its place, so that a person mends it in one go.</summary>
internal sealed class Problems(string source)
{
    private const int Most = 25;

    private readonly SortedSet<(int Line, int Column, string Text)> found = [];

    public void Add(Position place, string text) => found.Add((place.Line, place.Column, text));

    /// <exception cref="UsageException">Something was added; one line each, in the file's order.</exception>
    public void ThrowIfAny()
    {
        if (found.Count == 0) return;
        var lines = found.Take(Most).Select(problem => $"{source}:{problem.Line}:{problem.Column}: {problem.Text}").ToList();
        if (found.Count > Most) lines.Add($"{source}: and {found.Count - Most} more");
        throw new UsageException(string.Join('\n', lines)) { Fault = Fault.Change };
    }
}
