namespace CiSteps.Images.Tests;

/// <summary>What the builders inside engines do not know is found, and nothing else is.</summary>
public sealed class BuildKitSyntaxTests
{
    private static readonly DockerfileParameters Plain = new(new Dictionary<string, string>());
    private static readonly EngineKind Docker = EngineKind.Of("28.5.2", isPodman: false);
    private static readonly EngineKind OldPodman = EngineKind.Of("4.3.1", isPodman: true);
    private static readonly EngineKind NewPodman = EngineKind.Of("5.4.0", isPodman: true);

    [TestCase("RUN <<EOF\nexit 9\nEOF", "RUN <<EOF", true, false)]
    [TestCase("RUN cat <<EOF > /conf\ntext\nEOF", "RUN <<EOF", true, false)]
    [TestCase("run cat <<-'EOF' > /conf\n\ttext\n\tEOF", "RUN <<EOF", true, false)]
    [TestCase("RUN cat << EOF > /conf\ntext\nEOF", "RUN <<EOF", true, false)]
    [TestCase("RUN cat 3<<\"E F\" <<B\none\nE F\ntwo\nB", "RUN <<E F", true, false)]
    [TestCase("COPY <<a.txt <<b.txt /to/\none\na.txt\nFROM b\nb.txt", "COPY <<a.txt", true, false)]
    [TestCase("ADD <<x /to/x\none\nx", "ADD <<x", true, false)]
    [TestCase("RUN apt-get update \\\n  # a remark\n  && cat <<EOF\none\nEOF", "RUN <<EOF", true, false)]
    [TestCase("ONBUILD RUN <<EOF\none\nEOF", "ONBUILD RUN <<EOF", true, false)]
    [TestCase("RUN --mount=type=cache,target=/c make", "RUN --mount", false, false)]
    [TestCase("RUN --network=none make", "RUN --network", true, true)]
    [TestCase("RUN \\\n\t--security=insecure make", "RUN --security", true, true)]
    [TestCase("RUN --device=vendor/x make", "RUN --device", true, true)]
    [TestCase("COPY --link a /b", "COPY --link", true, true)]
    [TestCase("copy --Chmod=600 a /b", "COPY --Chmod", false, false)]
    [TestCase("COPY --chown=1 --exclude=*.md a /b", "COPY --exclude", true, true)]
    [TestCase("COPY --parents a /b", "COPY --parents", true, true)]
    [TestCase("ADD --checksum=sha256:0 https://x.example/a /b", "ADD --checksum", true, true)]
    [TestCase("ADD --keep-git-dir=true a /b", "ADD --keep-git-dir", true, true)]
    [TestCase("ADD --unpack=true a /b", "ADD --unpack", true, true)]
    [TestCase("ADD https://x.example/a.git#main /b", "ADD https://x.example/a.git#main", true, true)]
    [TestCase("ADD git@x.example:a/b.git /b", "ADD git@x.example:a/b.git", true, true)]
    [TestCase("ONBUILD COPY --link a /b", "ONBUILD COPY --link", true, true)]
    [TestCase("ARG TARGETARCH\nRUN echo $TARGETARCH", "ARG TARGETARCH", false, false)]
    [TestCase("FROM --platform=$BUILDPLATFORM b", "$BUILDPLATFORM", false, false)]
    [TestCase("FROM b-${TARGETARCH}", "$TARGETARCH", false, false)]
    public void Finds(string instruction, string construct, bool byOldPodman, bool byNewPodman)
    {
        var text = "FROM a\n" + instruction + "\n";
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, Docker), Is.EqualTo(new[] { new UnknownSyntax(2, construct) }));
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, OldPodman), Has.Count.EqualTo(byOldPodman ? 1 : 0), "podman 4");
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, NewPodman), Has.Count.EqualTo(byNewPodman ? 1 : 0), "podman 5");
    }

    [TestCase("ARG S=$TARGETARCH\nFROM a$S\n", "ARG $TARGETARCH")]
    [TestCase("ARG A=1 S=-${BUILDOS:-x}\nFROM a\nARG S\nRUN echo $S\n", "ARG $BUILDOS")]
    [TestCase("ARG S=${X:-$TARGETVARIANT}\nFROM a$S\n", "ARG $TARGETVARIANT")]
    public void Finds_what_only_BuildKit_sets_in_the_arguments_before_the_first_FROM(string text, string construct)
    {
        foreach (var engine in new[] { Docker, OldPodman, NewPodman })
            Assert.That(BuildKitSyntax.OfEngine(text, Plain, engine), Is.EqualTo(new[] { new UnknownSyntax(1, construct) }));
        var given = new[] { "TARGETARCH", "BUILDOS", "TARGETVARIANT" }.ToDictionary(name => name, _ => "x");
        Assert.That(BuildKitSyntax.OfEngine(text, Plain with { Arguments = given }, Docker), Is.Empty);
        Assert.That(BuildKitSyntax.OfEngine(text.Replace('$', '-'), Plain, Docker), Is.Empty);
    }

    [TestCase("FROM a\nARG U=git://x.example/a\nADD $U /b\n", 3, "ADD $U")]
    [TestCase("ARG U=https://x.example/a.git\nFROM a\nARG U\nADD ${U} /b\n", 4, "ADD ${U}")]
    [TestCase("FROM a AS one\nENV U ssh://x.example/a\nFROM one\nADD $U /b\n", 4, "ADD $U")]
    [TestCase("FROM a\nENV H=x.example\nADD git@$H:a /b\n", 3, "ADD git@$H:a")]
    [TestCase("FROM a\nARG GIVEN=file\nADD $GIVEN /b\n", 3, "ADD $GIVEN")]
    [TestCase("FROM a\nADD $OF_THE_BASE /b\n", 2, "ADD $OF_THE_BASE")]
    [TestCase("FROM a\nADD https://x.example/$OF_THE_BASE /b\n", 2, "ADD https://x.example/$OF_THE_BASE")]
    [TestCase("FROM a\nONBUILD ADD $OF_THE_BASE /b\n", 2, "ONBUILD ADD $OF_THE_BASE")]
    public void Finds_a_git_repository_in_a_variable(string text, int line, string construct)
    {
        var given = Plain with { Arguments = new Dictionary<string, string> { ["GIVEN"] = "git://x.example/a" } };
        Assert.That(BuildKitSyntax.OfEngine(text, given, Docker),
            Is.EqualTo(new[] { new UnknownSyntax(line, construct + " (which is or may be a git repository)") }));
    }

    [TestCase("[\"git://x.example/a\",\"/b\"]", "git://x.example/a")]
    [TestCase("GIT://x.example/a /b", "GIT://x.example/a")]
    [TestCase("other@x.example:a/b /b", "other@x.example:a/b")]
    [TestCase("file ssh://git@x.example/a /b", "ssh://git@x.example/a")]
    public void Finds_every_form_of_a_git_address(string rest, string address) =>
        Assert.That(
            BuildKitSyntax.OfEngine($"FROM a\nADD {rest}\n", Plain, Docker),
            Is.EqualTo(new[] { new UnknownSyntax(2, "ADD " + address) }));

    [TestCase("ADD --checksum=sha256:0 https://x.example/a /b", "ADD --checksum")]
    [TestCase("COPY --link a /b", "COPY --link")]
    [TestCase("RUN --mount=type=cache,target=/c make", "RUN --mount")]
    [TestCase("ARG TARGETARCH", "ARG TARGETARCH")]
    [TestCase("RUN <<EOF\nexit 9\nEOF", "RUN <<EOF")]
    [TestCase("RUN <<EOF", "RUN <<EOF")]
    [TestCase("ADD $OF_THE_BASE /b", "ADD $OF_THE_BASE (which is or may be a git repository)")]
    public void Finds_what_a_base_images_triggers_use(string trigger, string construct) =>
        Assert.That(BuildKitSyntax.OfTriggers(["RUN true", trigger], ["OF_THE_BASE=git://x.example/a"], Plain, Docker),
            Is.EqualTo(new[] { new UnknownSyntax(2, construct) }));

    [Test]
    public void Leaves_plain_triggers_alone() => Assert.That(
        BuildKitSyntax.OfTriggers(["COPY a /b", "ADD $PLACE /b"], ["PLACE=folder"], Plain, Docker), Is.Empty);

    [TestCase("ADD github.com/a/b /c")]
    [TestCase("ARG V=1\nADD https://x.example/a-$V.tar.gz /b")]
    [TestCase("ADD https://x.example/$OF_THE_BASE.tar.gz /b")]
    [TestCase("ADD files/$OF_THE_BASE /b")]
    [TestCase("ADD [\"a file\",\"/b\"]")]
    [TestCase("RUN echo $((1<<2))")]
    [TestCase("RUN echo $((1 << 2)) # << 2")]
    [TestCase("RUN read x <<<text")]
    [TestCase("RUN cat <<< text")]
    [TestCase("RUN echo \"a <<EOF b\"")]
    [TestCase("RUN echo 'cat <<EOF'")]
    [TestCase("RUN [\"sh\", \"-c\", \"cat <<EOF\"]")]
    [TestCase("CMD cat <<EOF")]
    [TestCase("LABEL a=<<EOF")]
    [TestCase("RUN echo it's <<EOF")]
    [TestCase("# RUN <<EOF")]
    [TestCase("RUN echo \\\n# <<EOF\n two")]
    [TestCase("RUN make --mount=x")]
    [TestCase("RUN -- make")]
    [TestCase("COPY --from=b --chown=1:1 a --link /b")]
    [TestCase("ADD --chown=1 https://x.example/a.tar.gz /b")]
    [TestCase("ADD https://x.example/a.gitignore /b")]
    [TestCase("ARG TARGETARCH=amd64")]
    [TestCase("ARG MY_TARGETARCH")]
    [TestCase("HEALTHCHECK --interval=1s CMD true")]
    [TestCase("# check=skip=all")]
    public void Leaves_alone(string instruction) =>
        Assert.That(BuildKitSyntax.OfEngine($"FROM a\n{instruction}\n", Plain, Docker), Is.Empty);

    [TestCase("# syntax=docker/dockerfile:1\nFROM a\n", 1, "# syntax=docker/dockerfile:1")]
    [TestCase("#SYNTAX = docker/dockerfile:1 more\nFROM a\n", 1, "# syntax=docker/dockerfile:1")]
    [TestCase("#!/usr/bin/env docker\n# syntax=x/y\nFROM a\n", 2, "# syntax=x/y")]
    [TestCase("// syntax=x/y\nFROM a\n", 1, "# syntax=x/y")]
    [TestCase("# check=error=true\nFROM a\n", 1, "# check=error=true")]
    public void Finds_directives(string text, int line, string construct) =>
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, Docker), Is.EqualTo(new[] { new UnknownSyntax(line, construct) }));

    [TestCase("# a remark\n# syntax=docker/dockerfile:1\nFROM a\n")]
    [TestCase("\n# syntax=docker/dockerfile:1\nFROM a\n")]
    public void A_directive_behind_anything_else_is_a_remark(string text) =>
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, Docker), Is.Empty);

    [Test]
    public void The_escape_directive_moves_the_end_of_a_line()
    {
        Assert.That(
            BuildKitSyntax.OfEngine("# escape=`\nFROM a\nCOPY c:\\ d:\\\nCOPY `\n --link a b\n", Plain, Docker),
            Is.EqualTo(new[] { new UnknownSyntax(4, "COPY --link") }));
        Assert.That(BuildKitSyntax.OfEngine("FROM a\nCOPY `\n --link a b\n", Plain, Docker), Is.Empty);
        Assert.That(
            BuildKitSyntax.OfEngine("FROM a\nRUN x \\\\\nCOPY --link a b\n", Plain, Docker),
            Has.Count.EqualTo(1),
            "two of them continue nothing");
    }

    [Test]
    public void Only_stages_up_to_the_target_count()
    {
        const string text = "FROM a AS one\nRUN true\nFROM one AS two\nCOPY --link a b\n";
        Assert.That(BuildKitSyntax.OfEngine(text, Plain with { Target = "ONE" }, Docker), Is.Empty);
        Assert.That(BuildKitSyntax.OfEngine(text, Plain with { Target = "0" }, Docker), Is.Empty);
        Assert.That(BuildKitSyntax.OfEngine(text, Plain with { Target = "two" }, Docker), Has.Count.EqualTo(1));
    }

    [Test]
    public void An_argument_that_is_given_is_known() =>
        Assert.That(
            BuildKitSyntax.OfEngine(
                "FROM a-$TARGETARCH\nARG TARGETARCH\n",
                Plain with { Arguments = new Dictionary<string, string> { ["TARGETARCH"] = "amd64" } },
                Docker),
            Is.Empty);

    [TestCase("20.10.24+dfsg1", "FROM a\nRUN <<X\nX\n", 1)]
    [TestCase("23.0.1", "FROM a\nRUN <<X\nX\n", 0)]
    [TestCase("20.10.24", "# syntax=docker/dockerfile:1\nFROM a\nRUN <<X\nX\n", 0)]
    [TestCase("20.10.24", "FROM a\nRUN --mount=type=cache,target=/x true\n", 0)]
    public void The_BuildKit_of_an_old_engine_lacks_here_documents(string version, string text, int found) =>
        Assert.That(BuildKitSyntax.OfOldBuildKit(text, Plain, EngineKind.Of(version, isPodman: false)), Has.Count.EqualTo(found));

    [TestCase("{\"syntax\": \"r.example/front:1\"}", 1)]
    [TestCase("\uFEFF{\n  \"other\": \"x\",\n  \"syntax\": \"r.example/front:1\"\n}\n", 1)]
    [TestCase("#!/usr/bin/env front\n{\"syntax\": \"r.example/front:1\"}\n", 2)]
    public void A_file_that_is_JSON_for_another_front_end_is_refused_by_its_name(string text, int line)
    {
        foreach (var read in new Action[]
        {
            () => BuildKitSyntax.OfEngine(text, Plain, Docker),
            () => DockerfileSources.Read(text, Plain)
        })
        {
            var refusal = Assert.Throws<CiSteps.Hosting.UsageException>(() => read())!.Message;
            Assert.That(refusal, Does.StartWith($"Dockerfile:{line}: ").And.Contain("\"r.example/front:1\""));
        }
    }

    // To BuildKit too these are Dockerfiles, and their first line is an unknown instruction.
    [TestCase("{\"syntax\": \"r.example/front:1\"}\nFROM a\n")]
    [TestCase("{\"syntax\": \"r.example/front:1\", \"n\": 1}")]
    [TestCase("{\"Syntax\": \"r.example/front:1\"}")]
    public void JSON_that_is_more_or_less_than_that_is_left_to_the_builder(string text) =>
        Assert.That(BuildKitSyntax.OfEngine(text, Plain, Docker), Is.Empty);
}
