namespace CiSteps.Hosting;

/// <summary>What a child may see of the step's environment. The chain's own options and secrets are nobody else's business, and
/// a program that believes itself on a build server would write service messages, which are not passed on.</summary>
public static class ChildEnvironment
{
    /// <summary>How the names of the chain's own variables begin.</summary>
    public const string ChainPrefix = "CISTEPS_";

    /// <summary>Whether a variable is the chain's or the build server's, and so goes to no child.</summary>
    public static bool IsOfChain(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.StartsWith(ChainPrefix, StringComparison.Ordinal)
            || name is "TEAMCITY_VERSION" or "TEAMCITY_BUILD_PROPERTIES_FILE";
    }

    /// <summary>The changes (null: remove) that take the chain's variables out of an inherited environment.</summary>
    /// <param name="environment">The step's environment.</param>
    public static Dictionary<string, string?> Removals(IReadOnlyDictionary<string, string> environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return environment.Keys.Where(IsOfChain).ToDictionary(name => name, _ => (string?)null, StringComparer.Ordinal);
    }

    /// <summary>A whole environment without the chain's variables, for a child that inherits none.</summary>
    /// <param name="environment">The step's environment.</param>
    public static Dictionary<string, string?> Whole(IReadOnlyDictionary<string, string> environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        return environment.Where(pair => !IsOfChain(pair.Key))
            .ToDictionary(pair => pair.Key, pair => (string?)pair.Value, StringComparer.Ordinal);
    }
}
