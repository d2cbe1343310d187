using CiSteps.Pipeline.Yaml;

namespace CiSteps.Pipeline;

/// <summary>Whose pipeline file counts.</summary>
internal enum Decider
{
    /// <summary>The file in the work tree: what builds the change.</summary>
    Change,

    /// <summary>The file at the target branch's tip: what judges the change.</summary>
    Target,
}

/// <summary>For each key of ci-steps.yaml, whose file counts: the one place where that is decided. steps/README.md shows the same
/// table, and a test compares them.</summary>
internal static class KeyDecisions
{
    /// <summary>By section and key, in the order of <see cref="Section.All"/>.</summary>
    public static IReadOnlyDictionary<(string Section, string Key), Decider> All { get; } = Section.All
        .SelectMany(section => section.Keys.Select(key => (section.Name, Key: key)))
        .ToDictionary(pair => pair, pair => Of(pair.Name, pair.Key));

    private static Decider Of(string section, string key) => (section, key) switch
    {
        ("pipeline", "components") => Decider.Change,
        ("pipeline", "registry" or "branches" or "integration" or "production" or "notifications") => Decider.Target,
        ("registry", "push" or "pull" or "branch-prefix" or "plain-http") => Decider.Target,
        ("branches", "target" or "private") => Decider.Target,
        // How a component is built and tested; who answers for it does not change with it.
        ("component", "owners") => Decider.Target,
        ("component", "name" or "paths" or "major" or "depends-on" or "unit-tests" or "pre-build" or "image" or "workload") =>
            Decider.Change,
        // A change must not excuse its own failures. A run that the target asks for is done even when the change has taken it
        // out.
        ("testRun", "retry" or "quarantine") => Decider.Target,
        ("testRun", "name" or "run" or "image" or "folder" or "env" or "reports" or "format" or "time-limit" or
            "silence-limit") => Decider.Change,
        ("retry", "attempts" or "most-tests" or "framework" or "filter") => Decider.Target,
        ("quarantined", "test" or "owner" or "until") => Decider.Target,
        ("command", "run" or "image" or "folder" or "env") => Decider.Change,
        ("image", "dockerfile" or "context" or "target" or "args" or "platform" or "builder" or "secrets" or "ssh") =>
            Decider.Change,
        ("buildSecret", "env" or "file") => Decider.Change,
        // A dependent's workload is part of its suite, and so the target's.
        ("workload", "manifests" or "kind" or "name" or "container" or "time-limit") => Decider.Change,
        ("suite", "name" or "components" or "class" or "namespace" or "manifests" or "dependents" or "tests" or "time-limit") =>
            Decider.Target,
        ("dependent", "name" or "image" or "major" or "bootstrap" or "workload") => Decider.Target,
        ("suiteTests", "job" or "run" or "image" or "folder" or "env" or "reports" or "format") => Decider.Target,
        ("production", "waves" or "freezes") => Decider.Target,
        ("freeze", "name" or "from" or "until" or "zone") => Decider.Target,
        ("wave", "name" or "soak" or "targets") => Decider.Target,
        ("target", "name" or "kubeconfig" or "namespace" or "components" or "gate" or "settle") => Decider.Target,
        ("gate", "http" or "for" or "time-limit" or "status" or "headers") => Decider.Target,
        ("notifications", "owners" or "platform") => Decider.Target,
        ("owner", "webhook" or "email") => Decider.Target,
        _ => throw new ArgumentException($"nobody has decided whose \"{key}\" of \"{section}\" counts", nameof(key)),
    };
}
