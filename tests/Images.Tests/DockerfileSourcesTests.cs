using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

public sealed class DockerfileSourcesTests
{
    private static readonly DockerfileParameters None = new(new Dictionary<string, string>()) { EnginePlatform = "linux/amd64" };

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
            RUN --mount=type=cache,target=/c --mount=type=bind,from=tools.example/more:3,target=/t true
            """;
        Assert.That(
            Names(text, None),
            Is.EqualTo(
                new[]
                {
                    "docker/dockerfile:1",
                    "registry.example/sdk:1",
                    "tools.example/lint:2",
                    "registry.example/run:9",
                    "tools.example/more:3"
                }));
        Assert.That(
            Names(text, With(("REGISTRY", "r"), ("OTHER", "x"))),
            Is.EqualTo(
                new[] { "docker/dockerfile:1", "r/sdk:1", "tools.example/lint:2", "r/run-never:9", "tools.example/more:3" }));
        Assert.That(
            Names(text, None with { Target = "build" }),
            Is.EqualTo(new[] { "docker/dockerfile:1", "registry.example/sdk:1", "tools.example/lint:2" }));
        Assert.That(Names(text, None with { Target = "TEST" }), Has.Count.EqualTo(3));
        var sources = DockerfileSources.Read(text, None);
        Assert.That(sources.Select(source => (source.Line, source.Use)), Is.EqualTo(new[]
        {
            (1, DockerfileUse.FrontEnd), (4, DockerfileUse.Base), (5, DockerfileUse.Files), (11, DockerfileUse.Base),
            (15, DockerfileUse.Files),
        }));
        Assert.That(sources.Single(source => source.IsFinalBase).Reference, Is.EqualTo("registry.example/run:9"));
        Assert.That(
            DockerfileSources.Read(text, None with { Target = "test" }).Single(source => source.IsFinalBase),
            Has.Property("Reference").EqualTo("registry.example/sdk:1").And.Property("Platform").EqualTo("linux/amd64"));
    }

    [TestCase("FROM r/a-$TARGETARCH", null, "r/a-amd64")]
    [TestCase("FROM r/a-$TARGETARCH$TARGETVARIANT", "linux/arm/v7", "r/a-armv7")]
    [TestCase("FROM r/a-$TARGETARCH$TARGETVARIANT", "linux/aarch64", "r/a-arm64")]
    [TestCase("FROM r/a-$BUILDARCH-${TARGETOS}", "windows/arm64", "r/a-amd64-windows")]
    [TestCase("ARG TARGETARCH\nFROM r/a-$TARGETARCH", "linux/arm64", "r/a-arm64")]
    [TestCase("ARG NAME=r/a-${TARGETARCH}\nFROM $NAME", "linux/arm64", "r/a-arm64")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V%.*}", null, "r/a:1.2")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V%%.*}", null, "r/a:1")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V#*.}", null, "r/a:2.3")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V##*.}", null, "r/a:3")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V/./-}", null, "r/a:1-2.3")]
    [TestCase("ARG V=1.2.3\nFROM r/a:${V//./-}", null, "r/a:1-2-3")]
    [TestCase("ARG V=\nFROM r/a:${V:-7}", null, "r/a:7")]
    [TestCase("ARG V=\nFROM r/a:x${V-7}", null, "r/a:x")]
    [TestCase("FROM r/a:${V-7}", null, "r/a:7")]
    [TestCase("ARG A=\"r/a\" B='1'\nFROM ${A}:${B}", null, "r/a:1")]
    [TestCase("# escape=`\nFROM `\nr/a:1", null, "r/a:1")]
    [TestCase("FROM r/a\\\n# a remark in between\n\n:1", null, "r/a:1")]
    public void Replaces_variables_as_BuildKit_does(string text, string? platform, string expected) =>
        Assert.That(Names(text, None with { Platform = platform }), Is.EqualTo(new[] { expected }));

    [TestCase("FROM $NOTHING", ":1", "names nothing")]
    [TestCase("ARG A\nFROM ${A:?give-it}", ":2", "give-it")]
    [TestCase("FROM r/a:${TAG}", ":1", "\"r/a:\" is not an image reference")]
    [TestCase("FROM r/a\nCOPY --from=$X /a /b", ":2", "has a variable")]
    [TestCase("FROM r/a\nRUN --mount=type=bind,from=${X},target=/x true", ":2", "has a variable")]
    [TestCase("FROM r/a\nRUN <<END\necho\n", ":2", "is not closed")]
    [TestCase("FROM r/${A", ":1", "missing")]
    public void Says_where_a_name_cannot_be_read(string text, string line, string why) =>
        Assert.That(
            Assert.Throws<UsageException>(() => Names(text, None with { Name = "web/Dockerfile" }))!.Message,
            Does.Contain("web/Dockerfile" + line).And.Contain(why));

    [Test]
    public void Triggers_of_a_stage_count_where_another_is_built_on_it()
    {
        Assert.That(
            Names("FROM r/a AS a\nONBUILD COPY --from=r/tool:1 /x /x\nFROM r/b\n", None), Is.EqualTo(new[] { "r/a", "r/b" }));
        Assert.That(
            Names("FROM r/a AS a\nONBUILD COPY --from=r/tool:1 /x /x\nFROM a\n", None), Is.EqualTo(new[] { "r/a", "r/tool:1" }));
        Assert.That(
            DockerfileSources.OfTriggers(["COPY --from=r/tool:1 /x /x", "RUN true"], 3),
            Is.EqualTo(new[] { new DockerfileSource("r/tool:1", 3, DockerfileUse.Files) }));
    }

    [TestCase("FROM a", false)]
    [TestCase("FROM --platform=$BUILDPLATFORM a", true)]
    [TestCase("ARG A=$TARGETOS\nFROM a", true)]
    [TestCase("FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH", false)]
    public void Knows_whether_the_engines_platform_matters(string text, bool matters) =>
        Assert.That(DockerfileSources.NeedPlatform(text, "f"), Is.EqualTo(matters));

    [Test]
    public void Says_which_stage_is_missing() =>
        Assert.That(
            Assert.Throws<UsageException>(() => Names("FROM a AS b\n", None with { Target = "c" }))!.Message,
            Does.Contain("\"c\"").And.Contain("b"));

    [Test]
    public void Wants_a_from() => Assert.Throws<UsageException>(() => Names("RUN true\n", None));

    private static List<string> Names(string text, DockerfileParameters parameters) =>
        [.. DockerfileSources.Read(text, parameters).Select(source => source.Reference)];

    private static DockerfileParameters With(params (string Name, string Value)[] arguments) =>
        None with { Arguments = arguments.ToDictionary(one => one.Name, one => one.Value) };
}
