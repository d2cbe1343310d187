using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.Cli.Pruning;

/// <summary>
/// Which images pipeline files name themselves: of dependents that have no production tag yet, and those that commands run in.
/// </summary>
internal static class NamedImages
{
    /// <summary>Digests and <c>repository:tag</c>, with who names them.</summary>
    public static IReadOnlyDictionary<string, string> In(params PipelineDefinition[] files)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (who, name) in files.SelectMany(Written))
        {
            if (!ImageReference.TryParse(name, out var image, out _)) continue;
            if (image.Digest is { } digest) found.TryAdd(digest, who);
            if (image.Tag is not null || image.Digest is null) found.TryAdd($"{image.Repository}:{image.Tag ?? "latest"}", who);
        }
        return found;
    }

    private static IEnumerable<(string Who, string? Image)> Written(PipelineDefinition file) =>
    [
        .. file.Suites.SelectMany(
            suite => suite.Dependents.Select(
                dependent => ($"dependent \"{dependent.Name}\" of suite \"{suite.Name}\"", dependent.Bootstrap))),
        .. file.Suites.Select(suite => ($"tests of suite \"{suite.Name}\"", suite.Tests.Command?.Image)),
        .. file.Components.Select(component => ($"pre-build of component \"{component.Name}\"", component.PreBuild?.Image)),
        .. file.Components.SelectMany(
            component => component.UnitTests.Select(
                tests => ($"tests \"{tests.Name}\" of component \"{component.Name}\"", tests.Command.Image))),
    ];
}
