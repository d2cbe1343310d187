using System.Security.Cryptography;
using System.Text;
using CiSteps.Repositories;

namespace CiSteps.Pipeline;

/// <summary>What a component is made from at a commit, as one id: equal ids mean equal sources.</summary>
public static class ComponentTree
{
    /// <summary>The id over path, mode and content of the files of a component and of all that it depends on, and over the pipeline file, which says how it is built.</summary>
    /// <param name="repository">The clone.</param>
    /// <param name="commit">The commit; what is not committed does not count.</param>
    /// <param name="definition">The pipeline file.</param>
    /// <param name="component">The component's name.</param>
    /// <param name="configuration">The pipeline file's path.</param>
    /// <returns>Hexadecimal SHA-256.</returns>
    public static string IdOf(WorkRepository repository, string commit, PipelineDefinition definition, string component, string configuration = "ci-steps.yaml")
    {
        var globs = ChangedComponents.WithDependencies(definition, component)
            .Select(name => definition.Components.FirstOrDefault(one => one.Name == name)).OfType<ComponentDefinition>()
            .Select(one => PathGlobs.Parse(one.Paths)).ToList();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (path, id) in repository.Files(commit).Where(file => file.Path == configuration || globs.Exists(list => list.Matches(file.Path))))
            hash.AppendData(Encoding.UTF8.GetBytes($"{id} {path}\0"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
