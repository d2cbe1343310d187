using CiSteps.Hosting;

namespace CiSteps.Pipeline.Tests;

public sealed class A_pipeline_file
{
    private static string ProblemsOf(string text) =>
        Assert.Throws<UsageException>(() => PipelineFile.Parse(text, "ci-steps.yaml"))!.Message;

    private static string Component(string rest) => $"""
        registry: {"{ push: localhost:5000 }"}
        components:
          - name: app
            paths: ["app/**"]
        {string.Join('\n', rest.Split('\n').Select(line => "    " + line))}
        """;

    [Test]
    public void Is_read_with_every_key()
    {
        var file = PipelineFile.Parse(Sample.Full, "ci-steps.yaml");
        Assert.Multiple(() =>
        {
            Assert.That(
                file.Registry, Is.EqualTo(new RegistryDefinition("localhost:5000", "registry.internal:5000/mirror", "ci", true)));
            Assert.That(file.Branches, Is.EqualTo(new BranchesDefinition("main", "ci/*")));
            Assert.That(file.Components.Select(component => component.Name), Is.EqualTo(new[] { "greeter", "wording" }));
            var greeter = file.Components[0];
            Assert.That(greeter.Paths, Is.EqualTo(new[] { "greeter/**", "!greeter/docs/**" }));
            Assert.That(greeter.Owners, Is.EqualTo(new[] { "greeters" }));
            Assert.That(greeter.Major, Is.EqualTo(2));
            Assert.That(greeter.DependsOn, Is.EqualTo(new[] { "wording" }));
            var run = greeter.UnitTests.Single();
            Assert.That(run.Name, Is.EqualTo("unit"));
            Assert.That(run.Command.Run, Is.EqualTo(new[] { "sh", "-c", "sh greeter/tests/unit.sh" }));
            Assert.That(run.Command.Image, Is.EqualTo("localhost:5000/base:1"));
            Assert.That(run.Command.Folder, Is.EqualTo("greeter"));
            Assert.That(
                run.Command.Environment,
                Is.EquivalentTo(new Dictionary<string, string>
                {
                    ["A"] = "b",
                    ["N"] = "1",
                    ["BASE"] = "registry.internal:5000/mirror/base"
                }));
            Assert.That(run.Reports, Is.EqualTo(new[] { "greeter/build/*.xml" }));
            Assert.That(
                (run.Format, run.TimeLimit, run.SilenceLimit),
                Is.EqualTo(("junit", TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(1))));
            Assert.That((run.Retry!.Attempts, run.Retry.MostTests, run.Retry.Framework), Is.EqualTo((3, 5, "dotnet")));
            Assert.That(run.Retry.Filter, Is.EqualTo(new[] { "--filter", "{tests}" }));
            Assert.That(
                run.Quarantine.Single(), Is.EqualTo(new QuarantinedTest("Greets", "greeters", new DateOnly(2026, 12, 31))));
            Assert.That(greeter.PreBuild!.Run, Is.EqualTo(new[] { "sh", "greeter/prebuild.sh" }));
            Assert.That(
                (
                    greeter.Image!.Dockerfile,
                    greeter.Image.Context,
                    greeter.Image.Target,
                    greeter.Image.Platform,
                    greeter.Image.Builder),
                Is.EqualTo(("greeter/Dockerfile", "greeter", "final", "linux/amd64", "buildx")));
            Assert.That(greeter.Image.Arguments["BASE"], Is.EqualTo("localhost:5000/base:1"));
            Assert.That((greeter.Workload!.Kind, greeter.Workload.Name, greeter.Workload.Container, greeter.Workload.TimeLimit),
                Is.EqualTo(("StatefulSet", "greeter-web", "web", TimeSpan.FromMinutes(2))));
            var smoke = file.Suites[0];
            Assert.That(
                (smoke.Name, smoke.Class, smoke.Namespace, smoke.TimeLimit),
                Is.EqualTo(("smoke", "small", "smoke-ns", TimeSpan.FromMinutes(6))));
            Assert.That(
                (smoke.Tests.Job, smoke.Tests.Command, smoke.Tests.Format),
                Is.EqualTo(("integration/job.yaml", (CommandDefinition?)null, "tap")));
            var quotes = smoke.Dependents.Single();
            Assert.That(
                (quotes.Image, quotes.Major, quotes.Bootstrap),
                Is.EqualTo(("localhost:5000/quotes", 7, "localhost:5000/quotes@sha256:1")));
            Assert.That((quotes.Workload.Name, quotes.Workload.Kind), Is.EqualTo(("quotes", "Deployment")));
            Assert.That(file.Suites[1].Tests.Command!.Run, Is.EqualTo(new[] { "go", "test" }));
            var target = file.Production!.Waves.Single().Targets.Single();
            Assert.That(
                (target.Kubeconfig, target.Namespace, target.Settle),
                Is.EqualTo(("CISTEPS_PRODUCTION_KUBECONFIG", "shop", TimeSpan.FromSeconds(20))));
            Assert.That((target.Gate!.Http, target.Gate.For, target.Gate.TimeLimit, target.Gate.Status),
                Is.EqualTo(("service://greeter:80/healthz", TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(1), (int?)204)));
            Assert.That(
                file.Production.Freezes.Single(),
                Is.EqualTo(new FreezeDefinition(
                    "year-end",
                    new DateTimeOffset(2026, 12, 20, 17, 0, 0, TimeSpan.Zero),
                    new DateTimeOffset(2027, 1, 3, 7, 0, 0, TimeSpan.Zero))));
            Assert.That(target.Gate.Headers, Is.EqualTo(new Dictionary<string, string> { ["Host"] = "shop.example" }));
            Assert.That(
                file.Notifications.Owners["greeters"],
                Is.EqualTo(new OwnerDefinition("greeters", "env:GREETERS_WEBHOOK", "greeters@example.org")));
            Assert.That(file.Notifications.Platform, Is.EqualTo("greeters"));
        });
    }

    [Test]
    public void Needs_little()
    {
        var file = PipelineFile.Parse(Sample.Least, "ci-steps.yaml");
        Assert.Multiple(() =>
        {
            Assert.That(file.Branches, Is.EqualTo(new BranchesDefinition("main", "ci/*")));
            Assert.That(file.Registry.Push, Is.Empty);
            Assert.That(file.Components.Single().Major, Is.EqualTo(1));
            Assert.That(file.Production, Is.Null);
        });
    }

    [Test]
    public void Has_defaults_that_follow_from_names()
    {
        var file = PipelineFile.Parse("""
            registry: { push: localhost:5000 }
            components:
              - name: app
                paths: [app/**]
                major: 4
                image: { context: app }
                workload: { manifests: [k8s] }
              - { name: library, paths: [lib/**] }
            integration:
              - name: smoke
                class: small
                dependents: [{ name: quotes, image: localhost:5000/quotes, workload: { manifests: [q] } }]
                tests: { run: ./test }
            """, "ci-steps.yaml");
        Assert.Multiple(() =>
        {
            Assert.That(file.Registry.Pull, Is.EqualTo("localhost:5000"));
            Assert.That(file.Components[0].Image!.Dockerfile, Is.EqualTo("app/Dockerfile"));
            Assert.That((file.Components[0].Workload!.Name, file.Components[0].Workload!.Container), Is.EqualTo(("app", "app")));
            Assert.That(file.Suites[0].Components, Is.EqualTo(new[] { "app" }));
            Assert.That(file.Suites[0].Namespace, Is.EqualTo("smoke"));
            Assert.That(file.Suites[0].Dependents[0].Major, Is.EqualTo(4));
        });
    }

    [Test]
    public void Names_an_unknown_key_with_its_place_and_the_nearest_known_one() =>
        Assert.That(ProblemsOf("components:\n  - name: greeter\n    pathz: [x]\n    paths: [x]\n"), Is.EqualTo(
            "ci-steps.yaml:3:5: unknown key \"pathz\" in component \"greeter\", did you mean \"paths\"; " +
            "known keys: name, paths, owners, major, depends-on, unit-tests, pre-build, image, workload"));

    [Test]
    public void Tells_all_its_problems_at_once_in_the_order_of_the_file()
    {
        var lines = ProblemsOf("""
            registry: localhost
            components:
              - name: App
                paths: [/x]
                major: one
                owners: [nobody]
              - name: b
                paths: ["x"]
                paths: ["y"]
                depends-on: [c]
            extra: 1
            """).Split('\n');
        Assert.That(lines.Select(line => string.Join(':', line.Split(':').Take(3))), Is.EqualTo(new[]
        {
            "ci-steps.yaml:1:11", "ci-steps.yaml:3:11", "ci-steps.yaml:4:12", "ci-steps.yaml:5:12", "ci-steps.yaml:6:14",
            "ci-steps.yaml:9:5", "ci-steps.yaml:10:18", "ci-steps.yaml:11:1",
        }), string.Join('\n', lines));
    }

    [TestCase("", "ci-steps.yaml:1:1: the file is empty")]
    [TestCase("[a]", "1:1: the file must be a mapping")]
    [TestCase("components: {}", "must be a list, not a mapping")]
    [TestCase("registry: {}", "needs \"components\"")]
    [TestCase("components: [\n", "not readable as YAML")]
    [TestCase("a: &x {b: *x}", "stands inside what it refers to")]
    [TestCase("a: *x", "has no anchor")]
    [TestCase("components: []\n---\ncomponents: []", "2:1: a second document")]
    [TestCase(
        "components: []\nintegration: [{ name: x, class: c, components: [], tests: { run: x } }]",
        "is empty: name some, or leave it away")]
    [TestCase("x: &x {name: a}\ncomponents:\n  - <<: *x\n    paths: [x]", "merge keys")]
    [TestCase("components: !custom []", "tag \"!custom\"")]
    [TestCase("components:", "has no value")]
    [TestCase("branches: { target: ci/main }\ncomponents: []", "must differ")]
    [TestCase("branches: { private: ci }\ncomponents: []", "not a branch pattern")]
    [TestCase("registry: { push: \"http://x\" }\ncomponents: []", "it has a scheme; write host[:port][/prefix]")]
    [TestCase("registry: { push: r.example/ }\ncomponents: []", "it ends with a slash; take it away")]
    [TestCase("registry: { push: r.example/Team }\ncomponents: []", "the path \"Team\" has capital letters")]
    [TestCase("registry: { push: r.example/team:1 }\ncomponents: []", "it has a tag")]
    [TestCase(
        "registry: { push: \"user:secret@r.example\" }\ncomponents: []",
        "\"***@r.example\" is not a registry for \"push\": it has credentials in it")]
    [TestCase(
        "components: [{ name: a, paths: [x], image: { args: { A B: c } } }]",
        "is not the name of a build argument: it has blanks in it")]
    [TestCase(
        "components: [{ name: a, paths: [x], image: { args: { BUILDKIT_SYNTAX: c } } }]",
        "names a front end: write \"# syntax=\"")]
    [TestCase(
        "registry: { push: acme }\ncomponents: []",
        "1:19: \"acme\" is not a registry for \"push\": to engines this is a name on Docker Hub, not a host: " +
        "write docker.io/acme")]
    [TestCase(
        "registry: { push: r.example, pull: \"r.example:70000\" }\ncomponents: []",
        "1:36: \"r.example:70000\" is not a registry for \"pull\": the port 70000 is not from 1 to 65535")]
    [TestCase(
        "registry: { push: r.example, branch-prefix: a..b }\ncomponents: []",
        "1:45: \"a..b\" is not part of an image repository's name")]
    [TestCase("notifications: { platform: x }\ncomponents: []", "not in notifications.owners")]
    [TestCase("notifications: { owners: { x: { webhook: hello } } }\ncomponents: []", "not a webhook")]
    [TestCase(
        "production: { waves: [{ name: a, targets: [{ name: t, kubeconfig: /etc/x, namespace: n }] }] }\ncomponents: []",
        "not a name of an environment variable")]
    [TestCase("components: [{ name: a, paths: [x] }, { name: a, paths: [y] }]", "1:47: there is another component \"a\"")]
    [TestCase("components: [{ name: a, paths: [x], depends-on: [b] }, { name: b, paths: [y], depends-on: [a] }]", "a → b → a")]
    [TestCase("components: [{ name: a, paths: [\"!x\"] }]", "exclusions alone")]
    [TestCase("components: [{ name: a, paths: [] }]", "nothing ever changes it")]
    [TestCase("components: [{ name: a, paths: [x], image: {} }]", "no registry to push them to")]
    [TestCase(
        "integration: [{ name: s, components: [zz], class: c, tests: { run: x } }]\ncomponents: []",
        "\"zz\" of suite \"s\" is not in \"components\"")]
    [TestCase(
        "integration: [{ name: s, components: [a], class: c, tests: { run: x } }]\ncomponents: [{ name: a, paths: [x] }]",
        "no \"workload\"")]
    [TestCase("integration: [{ name: s, class: c, tests: { run: x, job: y } }]\ncomponents: []", "both \"job\" and \"run\"")]
    [TestCase("integration: [{ name: s, class: c }]\ncomponents: []", "suite \"s\" needs \"tests\"")]
    public void Refuses(string text, string with) => Assert.That(ProblemsOf(text), Does.Contain(with));

    [TestCase("major: -1", "whole number from 0")]
    [TestCase("unit-tests: [{ run: x, time-limit: 5 minutes }]", "not a length of time")]
    [TestCase("unit-tests: [{ run: x, time-limit: 99999999999999d }]", "time")]
    [TestCase("unit-tests: [{ run: x, time-limit: 2000000000d }]", "not a length of time")]
    [TestCase("unit-tests: [{ name: a, run: x }, { name: a, run: y }]", "another test run \"a\"")]
    [TestCase("unit-tests: [{ run: x }, { run: y }]", "several test runs have the name \"unit\"")]
    [TestCase("unit-tests: [{ run: x, format: html }]", "must be one of auto, junit")]
    [TestCase("unit-tests: [{ run: x, quarantine: [{ test: t, owner: o, until: 31.12.2030 }] }]", "not a date")]
    [TestCase("unit-tests: [{ run: x, quarantine: [{ test: t, owner: o, until: 2030-12-31 }] }]", "owner \"o\"")]
    [TestCase("unit-tests: [{ run: x, retry: { filter: [--only] } }]", "needs {tests}")]
    [TestCase("unit-tests: [{ run: x, retry: { framework: rspec } }]", "must be one of dotnet, go")]
    [TestCase("unit-tests: [{ run: x, retry: { attempts: 3 } }]", "needs \"framework\"")]
    [TestCase("unit-tests: [{ }]", "needs \"run\"")]
    [TestCase("unit-tests: [{ run: {} }]", "must be text for a shell or a list")]
    [TestCase("unit-tests: [{ run: x, image: \"${HOME}/x\" }]", "\"${HOME}\" is not a placeholder")]
    [TestCase("unit-tests: [{ run: x, folder: ../y }]", "leaves its folder")]
    [TestCase("image: { platform: amd64 }", "not a platform")]
    [TestCase("image: { builder: kaniko }", "must be one of auto, engine, buildx")]
    [TestCase("image: { platform: 'linux/amd64,linux/arm64' }", "names several platforms")]
    [TestCase("image: { platform: [linux/amd64, linux/arm64] }", "is a list; an image is built for one platform")]
    [TestCase("image: { secrets: { a b: { env: X } } }", "\"a b\" is not a secret's id")]
    [TestCase("image: { secrets: { a: { } } }", "needs either \"env\"")]
    [TestCase("image: { secrets: { a: { env: X, file: y } } }", "needs either \"env\"")]
    [TestCase("image: { secrets: { a: { env: 1X } } }", "is not a variable's name")]
    [TestCase("image: { secrets: { a: { env: CISTEPS_SIGNING_KEY } } }", "belongs to the chain itself")]
    [TestCase("image: { secrets: { a: { file: 'x,y' } } }", "is not a path")]
    [TestCase("image: { secrets: { a: { vault: x } } }", "unknown key \"vault\"")]
    [TestCase("image: { ssh: [mine] }", "is true, or [default]")]
    [TestCase("image: { ssh: yes-please }", "must be true or false")]
    [TestCase("image: { dockerfile: /Dockerfile }", "is absolute")]
    [TestCase("workload: { manifests: [] }", "is empty")]
    [TestCase("workload: { manifests: k8s }", "write [k8s]")]
    [TestCase("workload: { manifests: [k8s], kind: Pod }", "must be one of Deployment")]
    public void Refuses_in_a_component(string rest, string with) => Assert.That(ProblemsOf(Component(rest)), Does.Contain(with));

    [Test]
    public void Reads_what_a_build_may_read_and_not_keep()
    {
        var image = PipelineFile.Parse(
            Component("image: { secrets: { token: { env: TOKEN }, key: { file: /run/key } }, ssh: [default] }"),
            "f").Components[0].Image!;
        Assert.That(
            image.Secrets,
            Is.EqualTo(
                new[] { new BuildSecretDefinition("token", "TOKEN", null), new BuildSecretDefinition("key", null, "/run/key") }));
        Assert.That((image.Ssh, image.Builder), Is.EqualTo((true, "auto")));
        Assert.That(PipelineFile.Parse(Component("image: { ssh: true }"), "f").Components[0].Image!.Ssh, Is.True);
        Assert.That(PipelineFile.Parse(Component("image: { }"), "f").Components[0].Image!.Ssh, Is.False);
    }

    [Test]
    public void Leaves_shell_variables_in_commands_alone() =>
        Assert.That(
            PipelineFile.Parse(
                Component("unit-tests: [{ run: 'echo ${HOME} $X' }]"), "f").Components[0].UnitTests[0].Command.Run[2],
            Is.EqualTo("echo ${HOME} $X"));

    [Test]
    public void Of_the_demo_is_right()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "CiSteps.sln"))) folder = folder.Parent;
        var file = PipelineFile.Read(Path.Combine(folder!.FullName, "scripts/sample/ci-steps.yaml"));
        Assert.That(file.Suites, Is.Not.Empty);
    }

    [Test]
    public void Follows_anchors_for_whole_values()
    {
        var file = PipelineFile.Parse("""
            components:
              - { name: a, paths: &paths [x/**, y/**], pre-build: &build { run: make } }
              - { name: b, paths: *paths, pre-build: *build }
            """, "ci-steps.yaml");
        Assert.That(file.Components[1].Paths, Is.EqualTo(file.Components[0].Paths));
        Assert.That(file.Components[1].PreBuild!.Run, Is.EqualTo(new[] { "sh", "-c", "make" }));
    }

    [Test]
    public void Takes_registries_from_above_into_its_placeholders()
    {
        var file = PipelineFile.Parse(Sample.Full, "ci-steps.yaml", new RegistryOverride("other:1234/x", null));
        Assert.Multiple(() =>
        {
            Assert.That((file.Registry.Push, file.Registry.Pull), Is.EqualTo(("other:1234/x", "other:1234/x")));
            Assert.That(file.Components[0].UnitTests[0].Command.Image, Is.EqualTo("other:1234/x/base:1"));
            Assert.That(file.Components[0].UnitTests[0].Command.Environment["BASE"], Is.EqualTo("other:1234/x/base"));
        });
    }

    [Test]
    public void Does_not_drown_a_person_in_problems()
    {
        var lines = ProblemsOf(
            "components:\n" +
                string.Concat(Enumerable
                    .Range(0, 200)
                    .Select(at => $"  - {{ name: c{at}, paths: [x], wrong: 1 }}\n"))).Split('\n');
        Assert.That(lines, Has.Length.EqualTo(26));
        Assert.That(lines[^1], Is.EqualTo("ci-steps.yaml: and 175 more"));
    }

    [Test]
    public void Is_never_a_bug_whatever_single_character_is_lost()
    {
        for (var at = 0; at < Sample.Full.Length; at++)
        {
            try
            {
                PipelineFile.Parse(Sample.Full.Remove(at, 1), "ci-steps.yaml");
            }
            catch (UsageException problem)
            {
                Assert.That(problem.Message, Does.Match(@"^ci-steps\.yaml:\d+:\d+: "), $"without character {at}");
            }
        }
    }

    [TestCase("ci/*", "ci/x", true)]
    [TestCase("ci/*", "ci/x/y", true)]
    [TestCase("ci/*", "ci", false)]
    [TestCase("*-ci", "x-ci", true)]
    [TestCase("ci/*", "main", false)]
    public void Tells_private_branches_by_the_pattern(string pattern, string branch, bool isPrivate) =>
        Assert.That(new BranchesDefinition("main", pattern).IsPrivate(branch), Is.EqualTo(isPrivate));
}
