using CiSteps.Fixtures;
using k8s;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>
/// The cluster under test: the one that CISTEPS_TEST_KUBECONFIG names, else a sandbox of the run's own. Pods run
/// CISTEPS_TEST_IMAGE, which has busybox's
/// tools and which every node has or can pull; CISTEPS_TEST_KUBECTL names another kubectl than the one on the path.
/// </summary>
[SetUpFixture]
internal sealed class ConformanceCluster
{
    private static LocalEngine? Engine;
    private static SandboxCluster? Sandbox;

    public static string KubeconfigPath { get; private set; } = "";

    public static string Kubectl { get; } = Given("CISTEPS_TEST_KUBECTL") ?? "kubectl";

    /// <summary>An image with a shell and the usual tools.</summary>
    public static string Image { get; private set; } = "";

    public static Kubernetes Client { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task Bring_up()
    {
        var image = Given("CISTEPS_TEST_IMAGE");
        if (Given("CISTEPS_TEST_KUBECONFIG") is { } given)
        {
            (KubeconfigPath, Image) = (given, image ?? "busybox:1.37");
        }
        else
        {
            Engine = await LocalEngine.OpenAsync();
            Image = image ?? (await Engine.MakeBaseImageAsync()).ToString();
            Sandbox = await SandboxCluster.StartAsync(new() { Name = "conformance", Log = TestContext.Progress.WriteLine });
            KubeconfigPath = Sandbox.KubeconfigPath;
        }
        Client = Connect();
    }

    [OneTimeTearDown]
    public async Task Take_down()
    {
        // Null when a failure before it is the one to be told.
        Client?.Dispose();
        if (Sandbox is not null)
            await Sandbox.DisposeAsync();
        if (Engine is not null)
            await Engine.DisposeAsync();
    }

    /// <summary>A client of the administrator's, or of whoever has this token.</summary>
    public static Kubernetes Connect(string? token = null)
    {
        var configuration = KubernetesClientConfiguration.BuildConfigFromConfigFile(KubeconfigPath);
        if (token is not null)
        {
            configuration = new()
            {
                Host = configuration.Host,
                SslCaCerts = configuration.SslCaCerts,
                SkipTlsVerify = configuration.SkipTlsVerify,
                TlsServerName = configuration.TlsServerName,
                AccessToken = token,
            };
        }
        return new(configuration);
    }

    private static string? Given(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
