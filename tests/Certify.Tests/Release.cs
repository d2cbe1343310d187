using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;

namespace CiSteps.Certify.Tests;

/// <summary>
/// A service on <c>main</c> whose chain has run up to certify: real git, evidence as the steps write it, images in a real
/// registry without an engine.
/// </summary>
internal sealed class Release : IDisposable
{
    public const string Repository = "service";
    private readonly GitRepositories git = new();
    private readonly string registry;

    public Release(string registry)
    {
        this.registry = registry;
        Clone = git.Clone();
        Clone.Write("ci-steps.yaml", $$"""
            registry: { push: {{registry}}, pull: "pull.example:5000" }
            components:
              - { name: service, major: 2, paths: [service/**], image: { context: service },
                  workload: { manifests: [service/k8s] } }
              - { name: other, paths: [other/**], image: { context: other } }
            integration:
              - { name: smoke, components: [service], class: small, tests: { run: x } }
            """);
        Clone.Write("service/Dockerfile", "FROM scratch\n");
        Clone.Write("other/Dockerfile", "FROM scratch\n");
        Clone.Commit("Begin");
        Clone.Push();
    }

    public GitClone Clone { get; }

    public string Output { get; private set; } = "";

    public Dictionary<string, string> Environment { get; } = [];

    public ImageReference Name(string tag) => ImageReference.Of($"{registry}/{Repository}", tag);

    /// <summary>Puts an image into a registry that says which commit it is from.</summary>
    public static async Task<string> PutAsync(
        RegistryClient client, ImageReference name, string commit, string version, string content = "x")
    {
        var config = await client.UploadBlobAsync(name, Encoding.UTF8.GetBytes(new JsonObject
        {
            ["os"] = "linux",
            ["architecture"] = "amd64",
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray() },
            ["config"] = new JsonObject
            {
                ["Labels"] = new JsonObject
                {
                    [ImageName.RevisionLabel] = commit,
                    [ImageName.VersionLabel] = version,
                    ["content"] = content
                }
            },
        }.ToJsonString()), "application/vnd.oci.image.config.v1+json");
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.OciManifest,
            ["config"] = new JsonObject { ["mediaType"] = config.MediaType, ["digest"] = config.Digest, ["size"] = config.Size },
            ["layers"] = new JsonArray(),
        };
        return await client.PutManifestAsync(
            name.WithTag(version),
            RegistryManifest.Read(Encoding.UTF8.GetBytes(manifest.ToJsonString()), MediaTypes.OciManifest));
    }

    /// <summary>Writes the evidence of the steps before certify.</summary>
    public async Task PassedAsync(
        string digest,
        string build,
        string? but = null,
        string? suiteDigest = null,
        int failed = 0,
        bool built = true,
        string? repository = null,
        string component = "service")
    {
        var image = new BuiltImage(
            component, repository ?? $"{registry}/{Repository}", $"2.{build}-{Clone.Head[..12]}", digest, built);
        if (but != "unit-test")
            await Clone.StateAsync("unit-test", build, Outcome.Done("passed")
                .HandingOver(new UnitTestHandOver("", [new TestedComponent("service", true, "", 3, failed, 0, 0),
                    new TestedComponent("other", false, "", 0, 0, 0, 0)]), HandOverJson.Default.UnitTestHandOver), Environment);
        if (but != "image-build")
            await Clone.StateAsync(
                "image-build",
                build,
                Outcome.Done("built").HandingOver(new ImageBuildHandOver([image]), HandOverJson.Default.ImageBuildHandOver),
                Environment);
        if (but != "integration-deploy")
            await Clone.StateAsync("integration-deploy", build, Outcome.Done("passed").HandingOver(new IntegrationHandOver(
                built
                    ? [new SuiteResult("smoke", ["service"], [image with { Digest = suiteDigest ?? digest }], [], 3, 0, 0, true)]
                    : []), HandOverJson.Default.IntegrationHandOver), Environment);
    }

    public Task<int> RunAsync(StepCommand step, string build, params string[] more) =>
        RunAsync(step, build, default(CancellationToken), more);

    public async Task<int> RunAsync(StepCommand step, string build, CancellationToken stop, params string[] more)
    {
        (var exit, Output) = await Clone.RunAsync(step, build, Environment, more, stop: stop);
        return exit;
    }

    public CertifyHandOver HandOver() => Clone.HandedOver("certify", HandOverJson.Default.CertifyHandOver);

    public void Dispose() => git.Dispose();
}
