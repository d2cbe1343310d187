using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class DockerfileSourcesTests
{
    [Test]
    public void Finds_what_each_stage_is_built_on()
    {
        const string text = """
            # syntax=docker/dockerfile:1
            ARG REGISTRY=registry.example
            ARG TAG=1 OTHER
            FROM --platform=linux/amd64 ${REGISTRY}/sdk:$TAG AS build
            COPY --from=tools.example/lint:2 /lint /lint
            RUN <<EOF
            FROM not-an-instruction
            EOF
            FROM build as test
            FROM scratch AS none
            from "${REGISTRY:-x}/run${OTHER:+-never}:${MISSING:-9}"
            COPY --from=build --chown=1 /a \
              /b
            COPY --from=0 /c /d
            """;
        Assert.That(DockerfileSources.Read(text, new Dictionary<string, string>()), Is.EqualTo(new[] { "registry.example/sdk:1", "tools.example/lint:2", "registry.example/run:9" }));
        Assert.That(DockerfileSources.Read(text, new Dictionary<string, string> { ["REGISTRY"] = "r", ["OTHER"] = "x" }), Is.EqualTo(new[] { "r/sdk:1", "tools.example/lint:2", "r/run-never:9" }));
        Assert.That(DockerfileSources.Read(text, new Dictionary<string, string>(), "build"), Is.EqualTo(new[] { "registry.example/sdk:1", "tools.example/lint:2" }));
        Assert.That(DockerfileSources.Read(text, new Dictionary<string, string>(), "TEST"), Has.Count.EqualTo(2));
    }

    [Test]
    public void Says_which_stage_is_missing() =>
        Assert.That(Assert.Throws<UsageException>(() => DockerfileSources.Read("FROM a AS b\n", new Dictionary<string, string>(), "c"))!.Message, Does.Contain("\"c\"").And.Contain("b"));

    [Test]
    public void Wants_a_from() => Assert.Throws<UsageException>(() => DockerfileSources.Read("RUN true\n", new Dictionary<string, string>()));
}
