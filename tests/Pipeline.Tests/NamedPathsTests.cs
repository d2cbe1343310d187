using CiSteps.Hosting;

namespace CiSteps.Pipeline.Tests;

/// <summary>What a component's commands name is the component's.</summary>
public sealed class NamedPathsTests
{
    [TestCase(".", "sh|tools/test.sh", "tools/test.sh", true)]
    [TestCase("svc", "./gradlew|test", "svc/gradlew", true)]
    [TestCase("svc", "./gradlew|test", "gradlew", false)]
    [TestCase("svc", "../tools/all.sh", "tools/all.sh", true)]
    [TestCase("svc", "../../outside", "outside", false)]
    [TestCase(".", "pytest|tests", "tests/deep/test_a.py", true)]
    [TestCase(".", "pytest|tests", "tests2/test_a.py", false)]
    [TestCase(".", "pytest|.", "anything.py", false)]
    [TestCase(".", "go|test|./...", "main.go", false)]
    [TestCase(".", "run|--config=ci/x.json", "ci/x.json", true)]
    [TestCase(".", "sh|-c|cd svc && ./run.sh", "svc/run.sh", true)]
    [TestCase(".", "sh|-c|. ./lib.sh; echo $(cat 'data/a.txt')", "data/a.txt", true)]
    [TestCase(".", "/usr/bin/make|-C|web", "web/Makefile", true)]
    [TestCase(".", "docker|run|registry.example/x:1", "registry.example/x", false)]
    public void Words_of_a_command_are_paths_in_its_folder(string folder, string run, string path, bool expected)
    {
        var command = new CommandDefinition(run.Split('|'), null, folder, new Dictionary<string, string>());
        var component = new ComponentDefinition("api", ["api/**"], [], 1, [], [], command, null, null);

        Assert.That(NamedPaths.Of(component).Matches(path), Is.EqualTo(expected));
    }

    private const string Services = """
        registry: { push: registry.example }
        components:
          - name: api
            paths: [api/src/**]
            unit-tests: [{ name: unit, run: [sh, tools/unit.sh] }]
            image: { dockerfile: docker/api.Dockerfile, context: api }
            workload: { manifests: [deploy/api] }
          - { name: web, paths: [api/web/**], image: { context: . } }
        integration:
          - name: smoke
            components: [api]
            class: small
            manifests: [it/k8s]
            dependents: [{ name: db, image: registry.example/db, workload: { manifests: [it/db.yaml], name: db, container: db } }]
            tests: { job: it/job.yaml }
          - { name: load, components: [api], class: small, tests: { run: [sh, load/run.sh] } }
        """;

    [TestCase("docker/api.Dockerfile", "api")]
    [TestCase("docker/api.Dockerfile.dockerignore", "api")]
    [TestCase("api/Dockerfile.base", "api")]
    [TestCase("api/.dockerignore", "api")]
    [TestCase("api/web/index.html", "web")]
    [TestCase("deploy/api/api.yaml", "api")]
    [TestCase("deploy/other.yaml", "")]
    [TestCase("tools/unit.sh", "api")]
    [TestCase("Dockerfile", "web")]
    [TestCase(".dockerignore", "web")]
    [TestCase("README.md", "")]
    [TestCase("it/job.yaml", "")]
    public void What_an_image_and_a_workload_are_made_of_is_the_components(string path, string changed)
    {
        var file = PipelineFile.Parse(Services, "ci-steps.yaml");

        var found = ChangedComponents.Decide(file, [path]).Where(change => change.Changed).Select(change =>
            change.Component.Name);

        Assert.That(string.Join(' ', found), Is.EqualTo(changed));
    }

    [TestCase("it/k8s/deep/a.yaml", "smoke")]
    [TestCase("it/db.yaml", "smoke")]
    [TestCase("it/job.yaml", "smoke")]
    [TestCase("load/run.sh", "load")]
    [TestCase("it/readme.md", "")]
    [TestCase("api/src/a.cs", "")]
    public void What_a_suite_is_made_of_is_the_suites(string path, string changed)
    {
        var found = ChangedSuites.Decide(PipelineFile.Parse(Services, "ci-steps.yaml"), ["other", path]);

        Assert.That(string.Join(' ', found.Select(pair => $"{pair.Key} {pair.Value}")),
            Is.EqualTo(changed.Length == 0 ? "" : $"{changed} {path}"));
    }

    [Test]
    public void What_no_paths_cover_is_found_once_for_each_name()
    {
        var found = NamedPaths.Uncovered(PipelineFile.Parse(Services, "ci-steps.yaml"),
            ["api/src/a.cs", "api/x", "api/y", "deploy/api/a.yaml", "docker/api.Dockerfile", "it/job.yaml", "README.md"]);

        Assert.That(found,
            Is.EquivalentTo(new[] { ("api", "api/x"), ("api", "deploy/api/a.yaml"), ("api", "docker/api.Dockerfile") }));
    }
}
