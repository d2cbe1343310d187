using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>
/// Parameters of known types that neither documentation nor other settings know. A newer server may know them, so this is asked
/// for (<c>--strict</c>) and not always right.
/// </summary>
internal static class VocabularyRules
{
    public static IEnumerable<Finding> Check(EffectiveTree effective)
    {
        var tree = effective.Tree;
        var typed = tree.Builds.Values.SelectMany(build => build.Runners.Select(runner => (runner.Type, runner.Parameters))
                .Concat(build.Triggers.Select(trigger => (trigger.Type, trigger.Parameters)))
                    .Concat(build.Extensions.Select(extension => (extension.Type, extension.Parameters))))
            .Concat(tree.Projects.Values
                .SelectMany(project => project.Extensions)
                .Select(extension => (extension.Type, extension.Parameters)))
            .Concat(tree.VcsRoots.Values.Select(root => (root.Type, root.Parameters)))
                .Concat(tree.Recipes.Values
                    .SelectMany(recipe => recipe.Runners)
                    .Select(runner => (runner.Type, runner.Parameters)));
        foreach (var (type, parameters) in typed)
            if (Vocabulary.Parameters.TryGetValue(type, out var known))
                foreach (var parameter in parameters.All.Where(parameter => !known.Contains(parameter.Name)))
                    yield return new(parameter.At, "vocabulary", Severity.Warning,
                        $"\"{parameter.Name}\" is not known as a parameter of {type}");
    }
}
