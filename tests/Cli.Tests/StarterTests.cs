using System.Text.RegularExpressions;
using CiSteps.Cli.Scaffolding;
using CiSteps.Fixtures;
using CiSteps.Pipeline;

namespace CiSteps.Cli.Tests;

/// <summary>A first ci-steps.yaml: whatever is found, the steps can read it.</summary>
public sealed partial class Starting_a_pipeline_file
{
    private const string Deployment =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app: x\n  name: " +
        "NAME\nspec:\n  template:\n    metadata:\n      name: inner\n    spec:\n      initContainers:\n        - name: " +
        "init\n      containers:\n        - name: web\n          image: x\n";

    private TestFolder folder = null!;

    [SetUp]
    public void Make() => folder = new TestFolder();

    [TearDown]
    public void Remove() => folder.Dispose();

    [Test]
    public void Finds_a_component_per_Dockerfile_with_its_workload_and_tests()
    {
        folder.Write("greeter/Dockerfile", "FROM scratch");
        folder.Write("greeter/k8s/all.yaml",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: greeter\n---\n" + Deployment.Replace("NAME", "greeter"));
        folder.Write("greeter/tests/Greeter.Tests.csproj", "<Project/>");
        folder.Write("tool/go.mod", "module x");
        folder.Write("tool/Dockerfile", "FROM scratch");
        folder.Write("node_modules/x/Dockerfile", "FROM scratch");

        var pipeline = Start();

        Assert.That(pipeline.Components.Select(component => component.Name), Is.EqualTo(new[] { "greeter", "tool" }));
        Assert.That(
            pipeline.Components[0].Workload, Has.Property("Container").EqualTo("web").And.Property("Name").EqualTo("greeter"));
        Assert.That(
            pipeline.Components.Select(component => component.UnitTests.Single().Format), Is.EqualTo(new[] { "trx", "go-json" }));
    }

    [Test]
    public void Takes_a_Dockerfile_in_the_root_and_manifests_of_another_name_for_the_service()
    {
        folder.Write("Dockerfile", "FROM scratch");
        folder.Write("deploy/deployment.yaml", Deployment.Replace("NAME", "web-frontend"));
        folder.Write("deploy/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: web }\n");
        folder.Write("deploy/kustomization.yaml", "resources: [deployment.yaml]\n");
        folder.Write("chart/Chart.yaml", "name: web\n");
        folder.Write("chart/templates/deployment.yaml", Deployment.Replace("NAME", "{{ .Release.Name }}"));

        var component = Start("My Shop").Components.Single();

        Assert.That(component.Name, Is.EqualTo("my-shop"));
        Assert.That((component.Workload!.Name, component.Workload.Manifests.Single()), Is.EqualTo(("web-frontend", "deploy")));
    }

    [Test]
    public void Gives_each_component_files_and_a_name_of_its_own()
    {
        foreach (var file in (string[])[
            "Dockerfile", "a/web/Dockerfile", "b/web/Dockerfile", "c/docker/Dockerfile", "d/Dockerfile.api",
            "d/worker.Dockerfile", "d/Dockerfile.dockerignore", "On/Dockerfile"
        ])
            folder.Write(file, "FROM scratch");

        var pipeline = Start();

        Assert.That(
            pipeline.Components.Select(component => component.Name),
            Is.EquivalentTo(new[] { "shop", "web", "b-web", "c", "api", "worker", "on" }));
        Assert.That(
            pipeline.Components.Single(component => component.Name == "c").Image!.Dockerfile, Is.EqualTo("c/docker/Dockerfile"));
        Assert.That(
            pipeline.Components.Single(component => component.Name == "shop").Paths,
            Is.EqualTo(new[] { "**", "!On/**", "!a/web/**", "!b/web/**", "!c/**", "!d/**" }));
    }

    [Test]
    public void Takes_all_of_a_repository_with_one_Dockerfile()
    {
        folder.Write("src/Api/Dockerfile", "FROM sdk\nCOPY --chown=1:1 src/Api/Api.csproj .\nCOPY --from=build /app /app\n");
        folder.Write("src/Api/Api.csproj", "<Project/>");
        folder.Write("tests/Api.Tests/Api.Tests.csproj", "<Project/>");

        var component = Start().Components.Single();

        Assert.That(
            (component.Name, component.Image!.Dockerfile, component.Image.Context),
            Is.EqualTo(("api", "src/Api/Dockerfile", ".")),
            "what it copies stands in the root");
        Assert.That(component.Paths, Is.EqualTo(new[] { "**" }));
        Assert.That(component.UnitTests.Single().Command.Folder, Is.EqualTo("tests/Api.Tests"));
    }

    [Test]
    public void Gives_a_component_its_own_manifests_only_and_says_what_belongs_to_none()
    {
        foreach (var name in (string[])["api", "web"])
        {
            folder.Write($"{name}/Dockerfile", "FROM scratch\nCOPY . .\n");
            folder.Write($"k8s/{name}.yaml", Deployment.Replace("NAME", name));
        }
        folder.Write("shared/lib.go", "");
        folder.Write("tests/Both.Tests.csproj", "<Project/>");
        folder.Write("{{cookiecutter.name}}/Dockerfile", "FROM scratch");

        var pipeline = Start();

        Assert.That(
            pipeline.Components.Select(component => component.Workload!.Manifests.Single()),
            Is.EqualTo(new[] { "k8s/api.yaml", "k8s/web.yaml" }));
        Assert.That(
            pipeline.Components[1].Paths,
            Is.EqualTo(new[] { "web/**", "k8s/web.yaml" }),
            "a change of its manifest is a change of it");
        Assert.That(
            Text(),
            Does
                .Contain("of no component, so a change there runs nothing: shared, tests;").And
                .Contain("tests there, to be given to the component that they test: tests: dotnet test"));
    }

    [TestCase(
        "spec: { template: { spec: { initContainers: [{ name: init }], containers: [{ image: x, ports: [{ name: http, " +
        "containerPort: 80 }], name: web }] } } }")]
    [TestCase(
        "spec:\n  template:\n    spec:\n      containers:\n      - image: x\n        ports:\n        - name: " +
        "http\n        name: web\n      - name: side\n")]
    public void Finds_the_container_in_any_style(string spec)
    {
        folder.Write("Dockerfile", "FROM scratch");
        folder.Write("k8s/all.yaml",
            $"apiVersion: v1\nkind: Service\nmetadata: {{ name: x }}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: " +
            $"{{ labels: {{ name: other }}, name: shop }}\n{spec}");

        Assert.That(
            Start().Components.Single().Workload,
            Has.Property("Kind")
                .EqualTo("StatefulSet").And
                .Property("Name")
                .EqualTo("shop").And
                .Property("Container")
                .EqualTo("web"));
    }

    [TestCase(0)]
    [TestCase(2)]
    public void Is_valid_with_all_that_it_offers(int services)
    {
        for (var number = 1; number <= services; number++)
        {
            folder.Write($"s{number}/Dockerfile", "FROM scratch");
            folder.Write($"s{number}/k8s/all.yaml", Deployment.Replace("NAME", $"s{number}"));
        }
        var text = string.Join(
            '\n',
            Text()
                .Split('\n')
                .Skip(2)
                .Select(
                    line => line.TrimStart().StartsWith(StarterPipeline.Mark, StringComparison.Ordinal)
                        ? ""
                        : Offered().Replace(line, "$1")));

        var pipeline = PipelineFile.Parse(text, "ci-steps.yaml");

        Assert.That(pipeline.Components, Has.All.Property("UnitTests").Not.Empty.And.All.Property("Image").Not.Null);
        Assert.That((pipeline.Suites.Count, pipeline.Production?.Waves.Count ?? 0), Is.EqualTo(services == 0 ? (0, 0) : (1, 1)));
    }

    [TestCase(
        "x.csproj",
        "<PackageReference Include=\"Microsoft.NET.Test.Sdk\" />",
        "dotnet test x.csproj --logger trx",
        "sub/test-results/*.trx",
        "trx")]
    [TestCase("go.mod", "module x", "go test -json ./...", "", "go-json")]
    [TestCase(
        "package.json",
        "{\"scripts\":{\"test\":\"node --test\"}}",
        "node --test --test-reporter=junit",
        "sub/test-results.xml",
        "junit")]
    [TestCase(
        "package.json",
        "{\"scripts\":{\"test\":\"vitest run\"}}",
        "npx vitest run --reporter=junit",
        "sub/test-results.xml",
        "junit")]
    [TestCase(
        "package.json", "{\"scripts\":{\"test\":\"mocha\"}}", "npx mocha --reporter xunit", "sub/test-results.xml", "junit")]
    [TestCase(
        "package.json",
        "{\"scripts\":{\"test\":\"jest\"},\"devDependencies\":{\"jest-junit\":\"1\"}}",
        "npx jest --ci --reporters=jest-junit",
        "sub/junit.xml",
        "junit")]
    [TestCase("pom.xml", "<project/>", "mvn --batch-mode test", "sub/**/target/surefire-reports/*.xml", "junit")]
    [TestCase("build.gradle.kts", "", "gradle test", "sub/**/build/test-results/test/*.xml", "junit")]
    [TestCase("requirements.txt", "", "pytest --junitxml=test-results.xml", "sub/test-results.xml", "junit")]
    public void Knows_the_tests_of_many_ecosystems(string file, string text, string command, string reports, string format)
    {
        folder.Write("sub/" + file, text);
        if (file == "requirements.txt") folder.Write("sub/tests/test_x.py", "");

        var test = Start().Components.Single().UnitTests.Single();

        Assert.That(string.Join(' ', test.Command.Run), Does.Contain(command));
        Assert.That((test.Command.Folder, string.Join(' ', test.Reports), test.Format), Is.EqualTo(("sub", reports, format)));
    }

    [TestCase("Cargo.toml", "[package]", "nextest")]
    [TestCase("package.json", "{\"scripts\":{\"test\":\"jest\"}}", "jest-junit")]
    public void Says_what_is_missing_where_tests_write_no_report(string file, string text, string hint)
    {
        folder.Write(file, text);

        Assert.That(Start().Components.Single().UnitTests, Is.Empty);
        Assert.That(Text(), Does.Contain("# <- tests in .: ").And.Contain(hint));
    }

    [Test]
    public void Starts_from_nothing_too() => Assert.That(Start().Components.Single().Name, Is.EqualTo("shop"));

    private PipelineDefinition Start(string service = "shop") => PipelineFile.Parse(Text(service), "ci-steps.yaml");

    private string Text(string service = "shop") => StarterPipeline.For(folder.Path, service, "main", "ci/*");

    [GeneratedRegex("^( *)# ")]
    private static partial Regex Offered();
}
