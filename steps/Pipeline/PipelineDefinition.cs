using CiSteps.Hosting;

namespace CiSteps.Pipeline;

/// <summary>ci-steps.yaml as read and validated.</summary>
/// <param name="Registry">Where images are pushed to and pulled from.</param>
/// <param name="Branches">Which branches the chain knows.</param>
/// <param name="Components">What the repository builds.</param>
/// <param name="Suites">Integration suites (<c>integration:</c>).</param>
/// <param name="Production">Production targets in waves.</param>
/// <param name="Notifications">Whom to tell what.</param>
/// <param name="Source">File name (and commit) that it was read from, for messages.</param>
public sealed record PipelineDefinition(
    RegistryDefinition Registry,
    BranchesDefinition Branches,
    IReadOnlyList<ComponentDefinition> Components,
    IReadOnlyList<SuiteDefinition> Suites,
    ProductionDefinition? Production,
    NotificationsDefinition Notifications,
    string Source)
{
    /// <summary>The suites that a chain has to pass: each that covers one of the components with a new image.</summary>
    /// <param name="built">Components whose image this chain has built.</param>
    public IReadOnlyList<SuiteDefinition> SuitesFor(IEnumerable<string> built) =>
        [.. Suites.Where(suite => built.Any(suite.Covers))];

    internal PipelineDefinition Targeting(string branch) => this with { Branches = Branches with { Target = branch } };
}

/// <summary>Image registry (<c>registry:</c>).</summary>
/// <param name="Push"><c>host[:port][/prefix]</c> that steps push to.</param>
/// <param name="Pull"><c>host[:port][/prefix]</c> that cluster nodes pull from; the push host unless given.</param>
/// <param name="BranchPrefix">Path put before the component's name for images of private branches; <c>ci</c> unless
/// given.</param>
/// <param name="PlainHttp">Whether plain HTTP is allowed for a host that is not loopback.</param>
public sealed record RegistryDefinition(string Push, string Pull, string BranchPrefix, bool PlainHttp);

/// <summary>Branches (<c>branches:</c>).</summary>
/// <param name="Target">Releases come from here; <c>main</c> unless given.</param>
/// <param name="Private">Pattern of branches that the branch chain builds; <c>ci/*</c> unless given.</param>
public sealed record BranchesDefinition(string Target, string Private)
{
    /// <summary>
    /// Whether a branch is a private one: its name fits the pattern, whose one <c>*</c> stands for any characters, slashes too,
    /// as in TeamCity.
    /// </summary>
    public bool IsPrivate(string branch)
    {
        var star = Private.IndexOf('*');
        return star < 0 ? branch == Private
            : branch.Length >= Private.Length - 1
                && branch.StartsWith(Private[..star], StringComparison.Ordinal)
                && branch.EndsWith(Private[(star + 1)..], StringComparison.Ordinal);
    }
}

/// <summary>A component: something with paths, tests, perhaps an image and a workload (<c>components:</c>).</summary>
/// <param name="Name">Service name; also the image's repository name.</param>
/// <param name="Paths">Globs relative to the repository root (<c>**</c> allowed).</param>
/// <param name="Owners">Names in <c>notifications.owners</c>.</param>
/// <param name="Major">Major version in the image tag.</param>
/// <param name="DependsOn">Components whose change counts as a change of this one.</param>
/// <param name="UnitTests">Test runs.</param>
/// <param name="PreBuild">Command that produces artifacts before the image is built.</param>
/// <param name="Image">How the image is built; null for a component without one.</param>
/// <param name="Workload">What is rolled out; null for a component without one.</param>
public sealed record ComponentDefinition(
    string Name,
    IReadOnlyList<string> Paths,
    IReadOnlyList<string> Owners,
    int Major,
    IReadOnlyList<string> DependsOn,
    IReadOnlyList<TestRunDefinition> UnitTests,
    CommandDefinition? PreBuild,
    ImageDefinition? Image,
    WorkloadDefinition? Workload);

/// <summary>One run of tests with its reports.</summary>
/// <param name="Name">Shown to people; unique in the component.</param>
/// <param name="Command">What runs.</param>
/// <param name="Reports">Globs of report files relative to the repository root; empty when the report is the output (TAP, go test
/// -json).</param>
/// <param name="Format">A word of the schema: <c>junit</c>, <c>trx</c>, … or <c>auto</c>.</param>
/// <param name="TimeLimit">For the whole run; 30 minutes unless given.</param>
/// <param name="SilenceLimit">Without any output; 10 minutes unless given.</param>
/// <param name="Retry">How failed tests are run again; null: they are not.</param>
/// <param name="Quarantine">Tests whose failure is tolerated for a time.</param>
public sealed record TestRunDefinition(
    string Name,
    CommandDefinition Command,
    IReadOnlyList<string> Reports,
    string Format,
    TimeSpan TimeLimit,
    TimeSpan SilenceLimit,
    RetryDefinition? Retry,
    IReadOnlyList<QuarantinedTest> Quarantine);

/// <summary>Running failed tests again (<c>retry:</c>).</summary>
/// <param name="Attempts">Tries per test, the first included.</param>
/// <param name="MostTests">When more tests failed than this, none is run again.</param>
/// <param name="Framework">Whose filter syntax to use, one of <see cref="Frameworks"/>; null with a <paramref name="Filter"/> of
/// one's own.</param>
/// <param name="Filter">Arguments appended to the command; <c>{tests}</c> stands for the failed tests.</param>
public sealed record RetryDefinition(int Attempts, int MostTests, string? Framework, IReadOnlyList<string> Filter)
{
    /// <summary>Frameworks whose filter syntax unit-test knows.</summary>
    public static IReadOnlyList<string> Frameworks { get; } = [
        "dotnet", "go", "gradle", "gtest", "jest", "junit", "maven", "mocha", "node", "pytest", "vitest"
    ];
}

/// <summary>A test that may fail until a date.</summary>
/// <param name="Test">Its full name.</param>
/// <param name="Owner">Who mends it.</param>
/// <param name="Until">Last day on which its failure is tolerated.</param>
public sealed record QuarantinedTest(string Test, string Owner, DateOnly Until);

/// <summary>How an image is built (<c>image:</c>).</summary>
/// <param name="Dockerfile">Path relative to the repository root.</param>
/// <param name="Context">Folder relative to the repository root.</param>
/// <param name="Target">Stage to build; null for the last.</param>
/// <param name="Arguments">Build arguments.</param>
/// <param name="Platform">Such as <c>linux/amd64</c>; null for the engine's own.</param>
/// <param name="Builder"><c>auto</c>, <c>engine</c> or <c>buildx</c>.</param>
public sealed record ImageDefinition(
    string Dockerfile,
    string Context,
    string? Target,
    IReadOnlyDictionary<string, string> Arguments,
    string? Platform,
    string Builder)
{
    /// <summary>Takes buildx where it is there, else the engine's own builder.</summary>
    public const string AutoBuilder = "auto";

    /// <summary>The builder inside the engine.</summary>
    public const string EngineBuilder = "engine";

    /// <summary>BuildKit, by <c>docker buildx</c>.</summary>
    public const string BuildxBuilder = "buildx";

    /// <summary>What the build may read and the image never holds.</summary>
    public IReadOnlyList<BuildSecretDefinition> Secrets { get; init; } = [];

    /// <summary>Whether the build may use the keys of this user's ssh agent.</summary>
    public bool Ssh { get; init; }
}

/// <summary>A secret for a build (<c>secrets:</c> of an image), for <c>RUN --mount=type=secret</c>.</summary>
/// <param name="Id">Its name in the Dockerfile.</param>
/// <param name="Variable">The environment variable that holds it; null when a file does.</param>
/// <param name="File">The file that holds it, absolute or relative to the repository root; null when a variable does.</param>
public sealed record BuildSecretDefinition(string Id, string? Variable, string? File);

/// <summary>What is rolled out for a component (<c>workload:</c>).</summary>
/// <param name="Manifests">Files or folders with YAML, relative to the repository root.</param>
/// <param name="Kind"><c>Deployment</c>, <c>StatefulSet</c> or <c>DaemonSet</c>.</param>
/// <param name="Name">metadata.name of the workload.</param>
/// <param name="Container">Container that gets the image.</param>
/// <param name="TimeLimit">For the roll-out; 5 minutes unless given.</param>
public sealed record WorkloadDefinition(
    IReadOnlyList<string> Manifests,
    string Kind,
    string Name,
    string Container,
    TimeSpan TimeLimit);

/// <summary>An integration suite (<c>integration:</c>).</summary>
/// <param name="Name">Name in messages, claims and reports; unique in the file.</param>
/// <param name="Components">Components under test, spelled out: all with a workload where the file names none. Empty: the suite
/// tests
/// nothing.</param>
/// <param name="Class">Testbed class.</param>
/// <param name="Namespace">Namespace to deploy into; made and removed by the step.</param>
/// <param name="Manifests">Deployed before everything else (files or folders).</param>
/// <param name="Dependents">Services that stand beside the one under test.</param>
/// <param name="Tests">A job in the cluster, or a command beside it.</param>
/// <param name="TimeLimit">For the whole suite; 15 minutes unless given.</param>
public sealed record SuiteDefinition(
    string Name,
    IReadOnlyList<string> Components,
    string Class,
    string Namespace,
    IReadOnlyList<string> Manifests,
    IReadOnlyList<DependentDefinition> Dependents,
    SuiteTestsDefinition Tests,
    TimeSpan TimeLimit)
{
    /// <summary>Whether a component is under test in this suite.</summary>
    public bool Covers(string component) => Components.Contains(component);
}

/// <summary>A dependent service, deployed at its production-ready image.</summary>
/// <param name="Name">Name in messages.</param>
/// <param name="Image">Repository on the push host, without tag; the digest behind <c>&lt;major&gt;-production</c> is
/// used.</param>
/// <param name="Major">Its major version.</param>
/// <param name="Bootstrap">Image reference used while there is no production tag; null: refuse.</param>
/// <param name="Workload">What is rolled out.</param>
public sealed record DependentDefinition(string Name, string Image, int Major, string? Bootstrap, WorkloadDefinition Workload);

/// <summary>A suite's tests: a Job in the cluster, or a command with the cluster's kubeconfig.</summary>
/// <param name="Job">Path of a manifest with one Job; null for a command.</param>
/// <param name="Command">Command with <c>KUBECONFIG</c> and <c>CISTEPS_NAMESPACE</c> set; null for a job.</param>
/// <param name="Reports">Report globs for a command; a job's report is its log (TAP, go-json, or JUnit between markers).</param>
/// <param name="Format">As in <see cref="TestRunDefinition"/>.</param>
public sealed record SuiteTestsDefinition(string? Job, CommandDefinition? Command, IReadOnlyList<string> Reports, string Format);

/// <summary>Production (<c>production:</c>).</summary>
/// <param name="Waves">One after the other; the targets of one wave in order.</param>
public sealed record ProductionDefinition(IReadOnlyList<WaveDefinition> Waves)
{
    /// <summary>When nothing is rolled out, unless somebody overrides it by its name.</summary>
    public IReadOnlyList<FreezeDefinition> Freezes { get; init; } = [];
}

/// <summary>A time in which production stays as it is.</summary>
/// <param name="Name">Its name, by which it is overridden.</param>
/// <param name="From">When it begins.</param>
/// <param name="Until">When it ends.</param>
public sealed record FreezeDefinition(string Name, DateTimeOffset From, DateTimeOffset Until)
{
    /// <summary>Whether it holds at a moment.</summary>
    public bool Holds(DateTimeOffset now) => now >= From && now < Until;
}

/// <summary>A wave of targets.</summary>
/// <param name="Name">Name in messages and reports.</param>
/// <param name="Targets">Where to roll out.</param>
/// <param name="Soak">How long gates must stay healthy before the next wave; zero for none.</param>
public sealed record WaveDefinition(string Name, IReadOnlyList<ProductionTarget> Targets, TimeSpan Soak);

/// <summary>A place in production.</summary>
/// <param name="Name">Name in messages, reports and <c>--target</c>.</param>
/// <param name="Kubeconfig">Name of the environment variable that holds its kubeconfig, see <see cref="FindKubeconfig"/>.</param>
/// <param name="Namespace">Namespace; must exist or be in the manifests.</param>
/// <param name="Components">Components promoted there; all with a workload unless given.</param>
/// <param name="Gate">Health gate after each roll-out; null for the roll-out's own readiness.</param>
public sealed record ProductionTarget(
    string Name,
    string Kubeconfig,
    string Namespace,
    IReadOnlyList<string> Components,
    GateDefinition? Gate)
{
    /// <summary>How long <see cref="Settle"/> is unless given.</summary>
    public static TimeSpan DefaultSettle { get; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long the new pods must hold after a roll-out, at least: none of them restarts, ends or gets unready.
    /// </summary>
    public TimeSpan Settle { get; init; } = DefaultSettle;

    /// <summary>
    /// Path or content of its kubeconfig: from its variable, else from the one with <c>_FILE</c> appended; an empty one is none.
    /// Null when neither is set.
    /// </summary>
    public string? FindKubeconfig(IReadOnlyDictionary<string, string> environment) =>
        environment.GetValueOrDefault(Kubeconfig) is { Length: > 0 } value
            ? value
            : environment.GetValueOrDefault(Kubeconfig + "_FILE") is { Length: > 0 } file ? file : null;
}

/// <summary>A health gate.</summary>
/// <param name="Http">URL that must answer 2xx unless <see cref="Status"/> says otherwise; asked through the cluster's service
/// when it is <c>service://name:port/path</c>.</param>
/// <param name="For">How long it must stay healthy.</param>
/// <param name="TimeLimit">How long it may take to become healthy.</param>
public sealed record GateDefinition(string Http, TimeSpan For, TimeSpan TimeLimit)
{
    /// <summary>The HTTP status that is healthy; null: every 2xx.</summary>
    public int? Status { get; init; }

    /// <summary>Headers that are sent along; a value <c>env:NAME</c> is what that environment variable holds.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether a status is the one that the gate asks for.</summary>
    public bool Takes(int status) => Status is { } one ? status == one : status is >= 200 and < 300;
}

/// <summary>Notifications (<c>notifications:</c>).</summary>
/// <param name="Owners">Teams by name.</param>
/// <param name="Platform">Owner that is told of infrastructure faults and of failures without an owner; null: every owner of the
/// change.</param>
public sealed record NotificationsDefinition(IReadOnlyDictionary<string, OwnerDefinition> Owners, string? Platform);

/// <summary>How a team is told.</summary>
/// <param name="Name">What <c>owners:</c> of a component says.</param>
/// <param name="Webhook">URL, or name of an environment variable with it as <c>env:NAME</c>; null for none.</param>
/// <param name="Email">Address, shown to people; null for none.</param>
public sealed record OwnerDefinition(string Name, string? Webhook, string? Email);
