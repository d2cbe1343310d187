using System.Text.Json.Nodes;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;
using CiSteps.Pipeline;

namespace CiSteps.ImageBuild;

/// <summary>SLSA provenance v1 of what one run built: from which commit, on which base images, with which parameters.</summary>
internal sealed class Provenance(StepContext context, ChainRun run, DateTimeOffset started)
{
    private const string BuildType = "https://cisteps.dev/image-build/v1";
    private readonly List<(ComponentDefinition Component, ImageReference Name, string Digest, IReadOnlyList<BaseImage> Bases)>
        built = [];

    public void Add(ComponentDefinition component, ImageReference name, string digest, IReadOnlyList<BaseImage> bases) =>
        built.Add((component, name, digest, bases));

    /// <summary>The predicate for all that was built.</summary>
    public JsonObject Predicate() => Predicate(built);

    /// <summary>A whole in-toto statement for one image, to be attached to it.</summary>
    public byte[] Statement(ImageReference name, string digest)
    {
        var statement = StatementJson.Write(
            PredicateTypes.Provenance,
            Predicate([.. built.Where(one => one.Digest == digest)]),
            Subject.Image(name.Repository, digest));
        return System.Text.Encoding.UTF8.GetBytes(context.Log.Mask.Apply(statement.ToJsonString()));
    }

    private JsonObject Predicate(
        IReadOnlyList<(ComponentDefinition Component, ImageReference Name, string Digest, IReadOnlyList<BaseImage> Bases)> images)
    {
        var identity = run.Identity;
        var components = new JsonArray();
        var materials = new JsonArray((JsonNode)new JsonObject
        {
            ["uri"] = $"git+{identity.Repository}@refs/heads/{identity.Branch}",
            ["digest"] = new JsonObject { ["gitCommit"] = identity.Commit },
        });
        foreach (var (component, name, _, bases) in images)
        {
            var image = component.Image!;
            var arguments = new JsonObject();
            foreach (var (key, value) in image.Arguments.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                arguments[key] = value;
            components.Add((JsonNode)new JsonObject
            {
                ["component"] = component.Name,
                ["image"] = name.ToString(),
                ["dockerfile"] = image.Dockerfile,
                ["context"] = image.Context,
                ["target"] = image.Target,
                ["platform"] = image.Platform,
                ["arguments"] = arguments,
                // By name only: what they hold is nowhere in the image, nor here.
                ["secrets"] = new JsonArray([.. image.Secrets.Select(secret => (JsonNode?)secret.Id)]),
                ["ssh"] = image.Ssh,
            });
            foreach (var source in bases)
                if (!materials.Any(known => (string?)known!["uri"] == "docker-image://" + source.Reference))
                    materials.Add((JsonNode)new JsonObject
                    {
                        ["uri"] = "docker-image://" + source.Reference,
                        ["digest"] = Digest(source.Digest)
                    });
        }
        return new JsonObject
        {
            ["buildDefinition"] = new JsonObject
            {
                ["buildType"] = BuildType,
                ["externalParameters"] = new JsonObject
                {
                    ["repository"] = identity.Repository,
                    ["branch"] = identity.Branch,
                    ["revision"] = identity.Commit,
                    ["images"] = components,
                },
                ["internalParameters"] = new JsonObject { ["buildNumber"] = identity.BuildNumber, ["dirty"] = identity.Dirty },
                ["resolvedDependencies"] = materials,
            },
            ["runDetails"] = new JsonObject
            {
                ["builder"] = new JsonObject
                {
                    ["id"] = context.IsOnServer ? "https://cisteps.dev/builder/agent" : "https://cisteps.dev/builder/local",
                    ["version"] = new JsonObject { ["ci-steps"] = StepHost.Version },
                },
                ["metadata"] = new JsonObject
                {
                    ["invocationId"] = $"{identity.Chain}/image-build",
                    ["startedOn"] = started.ToString("O"),
                    ["finishedOn"] = context.Time.GetUtcNow().ToString("O"),
                },
            },
        };
    }

    private static JsonObject Digest(string digest)
    {
        var image = Subject.Image("", digest);
        return new JsonObject { [image.Algorithm] = image.Digest };
    }
}
