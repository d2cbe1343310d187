using CiSteps.Fixtures;
using CiSteps.Pipeline;
using CiSteps.RunChain.Scaffolding;

namespace CiSteps.RunChain.Tests;

/// <summary>A first ci-steps.yaml: whatever is found, the steps can read it.</summary>
public sealed class Starting_a_pipeline_file
{
    private const string Deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app: x\n  name: NAME\nspec:\n  template:\n    metadata:\n      name: inner\n    spec:\n      initContainers:\n        - name: init\n      containers:\n        - name: web\n          image: x\n";

    private TestFolder folder = null!;

    [SetUp]
    public void Make() => folder = new TestFolder();

    [TearDown]
    public void Remove() => folder.Dispose();

    [Test]
    public void Finds_a_component_per_Dockerfile_with_its_workload_and_tests()
    {
        folder.Write("greeter/Dockerfile", "FROM scratch");
        folder.Write("greeter/k8s/all.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: greeter\n---\n" + Deployment.Replace("NAME", "greeter"));
        folder.Write("greeter/tests/Greeter.Tests.csproj", "<Project/>");
        folder.Write("tool/go.mod", "module x");
        folder.Write("tool/Dockerfile", "FROM scratch");
        folder.Write("node_modules/x/Dockerfile", "FROM scratch");

        var pipeline = Start();

        Assert.That(pipeline.Components.Select(component => component.Name), Is.EqualTo(new[] { "greeter", "tool" }));
        Assert.That(pipeline.Components[0].Workload, Has.Property("Container").EqualTo("web").And.Property("Name").EqualTo("greeter"));
        Assert.That(pipeline.Components.Select(component => component.UnitTests.Single().Format), Is.EqualTo(new[] { "trx", "go-json" }));
    }

    [Test]
    public void Takes_a_Dockerfile_in_the_root_and_manifests_of_another_name_for_the_service()
    {
        folder.Write("Dockerfile", "FROM scratch");
        folder.Write("deploy/deployment.yaml", Deployment.Replace("NAME", "web-frontend"));
        folder.Write("deploy/service.yaml", "kind: Service\n");
        folder.Write("deploy/chart.yaml", Deployment.Replace("NAME", "{{ .Release.Name }}"));

        var component = Start("My Shop").Components.Single();

        Assert.That(component.Name, Is.EqualTo("my-shop"));
        Assert.That((component.Workload!.Name, component.Workload.Manifests.Single()), Is.EqualTo(("web-frontend", "deploy")));
    }

    [Test]
    public void Gives_each_component_files_and_a_name_of_its_own()
    {
        foreach (var file in (string[])["Dockerfile", "a/web/Dockerfile", "b/web/Dockerfile", "c/docker/Dockerfile", "d/Dockerfile.api", "d/worker.Dockerfile", "d/Dockerfile.dockerignore", "On/Dockerfile"]) folder.Write(file, "FROM scratch");

        var pipeline = Start();

        Assert.That(pipeline.Components.Select(component => component.Name), Is.EquivalentTo(new[] { "shop", "web", "b-web", "c", "api", "worker", "on" }));
        Assert.That(pipeline.Components.Single(component => component.Name == "c").Image!.Dockerfile, Is.EqualTo("c/docker/Dockerfile"));
        Assert.That(pipeline.Components.Single(component => component.Name == "shop").Paths, Is.EqualTo(new[] { "**", "!On/**", "!a/web/**", "!b/web/**", "!c/**", "!d/**" }));
    }

    [TestCase("x.csproj", "<PackageReference Include=\"Microsoft.NET.Test.Sdk\" />", "dotnet test x.csproj --logger trx", "sub/test-results/*.trx", "trx")]
    [TestCase("go.mod", "module x", "go test -json ./...", "", "go-json")]
    [TestCase("package.json", "{\"scripts\":{\"test\":\"node --test\"}}", "node --test --test-reporter=junit", "sub/test-results.xml", "junit")]
    [TestCase("package.json", "{\"scripts\":{\"test\":\"vitest run\"}}", "npx vitest run --reporter=junit", "sub/test-results.xml", "junit")]
    [TestCase("package.json", "{\"scripts\":{\"test\":\"mocha\"}}", "npx mocha --reporter xunit", "sub/test-results.xml", "junit")]
    [TestCase("package.json", "{\"scripts\":{\"test\":\"jest\"},\"devDependencies\":{\"jest-junit\":\"1\"}}", "npx jest --ci --reporters=jest-junit", "sub/junit.xml", "junit")]
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
        Assert.That(StarterPipeline.For(folder.Path, "shop", "main", "ci/*"), Does.Contain("# tests in .: ").And.Contain(hint));
    }

    [Test]
    public void Starts_from_nothing_too() => Assert.That(Start().Components.Single().Name, Is.EqualTo("shop"));

    private PipelineDefinition Start(string service = "shop") => PipelineFile.Parse(StarterPipeline.For(folder.Path, service, "main", "ci/*"), "ci-steps.yaml");
}
