namespace CiSteps.Pipeline.Yaml;

/// <summary>
/// A kind of mapping in ci-steps.yaml and the keys that it may have. The JSON Schema lists the same; a test compares them.
/// </summary>
/// <param name="Name">Its name in the schema's <c>$defs</c>; <c>pipeline</c> for the root.</param>
/// <param name="Keys">In the order in which messages name them.</param>
internal sealed record Section(string Name, params IReadOnlyList<string> Keys)
{
    public static Section Pipeline { get; } = new(
        "pipeline", "registry", "branches", "components", "integration", "production", "notifications");
    public static Section Registry { get; } = new("registry", "push", "pull", "branch-prefix", "plain-http");
    public static Section Branches { get; } = new("branches", "target", "private");
    public static Section Component { get; } = new(
        "component", "name", "paths", "owners", "major", "depends-on", "unit-tests", "pre-build", "image", "workload");
    public static Section TestRun { get; } = new(
        "testRun",
        "name",
        "run",
        "image",
        "folder",
        "env",
        "reports",
        "format",
        "time-limit",
        "silence-limit",
        "retry",
        "quarantine");
    public static Section Retry { get; } = new("retry", "attempts", "most-tests", "framework", "filter");
    public static Section Quarantined { get; } = new("quarantined", "test", "owner", "until");
    public static Section Command { get; } = new("command", "run", "image", "folder", "env");
    public static Section Image { get; } = new(
        "image", "dockerfile", "context", "target", "args", "platform", "builder", "secrets", "ssh");
    public static Section BuildSecret { get; } = new("buildSecret", "env", "file");
    public static Section Workload { get; } = new("workload", "manifests", "kind", "name", "container", "time-limit");
    public static Section Suite { get; } = new(
        "suite", "name", "components", "class", "namespace", "manifests", "dependents", "tests", "time-limit");
    public static Section Dependent { get; } = new("dependent", "name", "image", "major", "bootstrap", "workload");
    public static Section SuiteTests { get; } = new("suiteTests", "job", "run", "image", "folder", "env", "reports", "format");
    public static Section Production { get; } = new("production", "waves", "freezes");
    public static Section Freeze { get; } = new("freeze", "name", "from", "until", "zone");
    public static Section Wave { get; } = new("wave", "name", "soak", "targets");
    public static Section Target { get; } = new("target", "name", "kubeconfig", "namespace", "components", "gate", "settle");
    public static Section Gate { get; } = new("gate", "http", "for", "time-limit", "status", "headers");
    public static Section Notifications { get; } = new("notifications", "owners", "platform");
    public static Section Owner { get; } = new("owner", "webhook", "email");

    public static IReadOnlyList<Section> All { get; } =
    [
        Pipeline, Registry, Branches, Component, TestRun, Retry, Quarantined, Command, Image, BuildSecret, Workload, Suite,
        Dependent, SuiteTests,
        Production, Freeze, Wave, Target, Gate, Notifications, Owner,
    ];
}
