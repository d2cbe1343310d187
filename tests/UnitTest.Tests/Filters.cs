using CiSteps.Hosting;
using CiSteps.Pipeline;
using CiSteps.TestReports;

namespace CiSteps.UnitTest.Tests;

public sealed class Filters
{
    private static readonly TestCase Roots = new(
        [], "Shop.CalculatorTests", "Roots(9,4)", TestOutcome.Failed)
    { Method = "Roots" };
    private static readonly TestCase Adds = new([], "Shop.CalculatorTests", "Adds", TestOutcome.Failed);

    [TestCase(
        "dotnet",
        "dotnet test x --no-build",
        ExpectedResult = "dotnet test x --no-build --filter " +
            "FullyQualifiedName~Shop.CalculatorTests.Roots|FullyQualifiedName~Shop.CalculatorTests.Adds")]
    [TestCase(
        "dotnet",
        "dotnet test -- NUnit.X=1",
        ExpectedResult = "dotnet test --filter " +
            "FullyQualifiedName~Shop.CalculatorTests.Roots|FullyQualifiedName~Shop.CalculatorTests.Adds -- NUnit.X=1")]
    [TestCase(
        "maven",
        "mvn test",
        ExpectedResult = "mvn test -Dtest=Shop.CalculatorTests#Roots+Adds -DfailIfNoTests=false " +
            "-Dsurefire.failIfNoSpecifiedTests=false")]
    [TestCase(
        "junit",
        "mvn test",
        ExpectedResult = "mvn test -Dtest=Shop.CalculatorTests#Roots+Adds -DfailIfNoTests=false " +
            "-Dsurefire.failIfNoSpecifiedTests=false")]
    [TestCase(
        "gradle",
        "gradle test",
        ExpectedResult = "gradle test --tests Shop.CalculatorTests.Roots --tests Shop.CalculatorTests.Adds")]
    [TestCase(
        "node",
        "node --test a.mjs",
        ExpectedResult = "node --test --test-name-pattern=(^|\\s)Roots\\(9,4\\)$ --test-name-pattern=(^|\\s)Adds$ a.mjs")]
    [TestCase("pytest", "pytest tests", ExpectedResult = "pytest tests --last-failed --last-failed-no-failures=none")]
    [TestCase("jest", "npm test", ExpectedResult = "npm test -- --testNamePattern=(^|\\s)(Roots\\(9,4\\)|Adds)$")]
    [TestCase("vitest", "npx vitest run", ExpectedResult = "npx vitest run --testNamePattern=(^|\\s)(Roots\\(9,4\\)|Adds)$")]
    [TestCase("mocha", "npx mocha", ExpectedResult = "npx mocha --grep=(^|\\s)(Roots\\(9,4\\)|Adds)$")]
    [TestCase("gtest", "./t", ExpectedResult = "./t --gtest_filter=Shop.CalculatorTests.Roots(9,4):Shop.CalculatorTests.Adds")]
    public string Each_framework_has_its_syntax(string framework, string command) =>
        string.Join(
            ' ', RetryFilter.Narrow(new RetryDefinition(2, 5, framework, []), Command(command.Split(' ')), [Roots, Adds]).Run);

    [TestCase("TestA/x y", "TestB/z", ExpectedResult = "^(TestA|TestB)$/^(x\\ y|z)$")]
    [TestCase("TestA/x", "TestB", ExpectedResult = "^(TestA|TestB)$")]
    public string Go_patterns_never_go_deeper_than_the_shallowest_test(string first, string second) =>
        RetryFilter.Narrow(new RetryDefinition(2, 5, "go", []), Command("go", "test"), [Go(first), Go(second)]).Run[^1];

    [Test]
    public void Every_framework_of_the_schema_has_a_filter(
        [ValueSource(typeof(RetryDefinition), nameof(RetryDefinition.Frameworks))] string framework) =>
        Assert.That(
            RetryFilter.Narrow(new RetryDefinition(2, 5, framework, []), Command("run"), [Adds]).Run, Has.Count.GreaterThan(1));

    [Test]
    public void Arguments_for_gos_test_program_stay_behind_the_filter() =>
        Assert.That(
            RetryFilter.Narrow(
                new RetryDefinition(2, 5, "go", []), Command("go", "test", "./...", "-args", "-x"), [Go("TestA")]).Run,
            Is.EqualTo(new[] { "go", "test", "./...", "-count=1", "-run", "^(TestA)$", "-args", "-x" }));

    [TestCase("new\nline", "new\\s+line")]
    [TestCase("say \"x\" #1", "say\\s+\"x\"\\s+\\#1")]
    public void White_space_in_a_name_matches_any(string name, string pattern) =>
        Assert.That(
            RetryFilter.Narrow(
                new RetryDefinition(2, 5, "jest", []),
                Command("jest"),
                [new TestCase([], null, name, TestOutcome.Failed)]).Run[1],
            Does.Contain(pattern));

    [TestCase("(package)", true)]
    [TestCase("(one-time TearDown)", true)]
    [TestCase("(a) works", false)]
    public void What_is_no_single_test_is_not_run_again(string name, bool refused) =>
        Assert.That(RetryFilter.WhyNot(new RetryDefinition(2, 5, "jest", []),
            new TestReport("r", ReportFormat.JUnit, [new TestCase([], null, name, TestOutcome.Failed)])), refused
                ? Does.Contain("not a single test") : Is.Null);

    [Test]
    public void A_script_gets_its_arguments_quoted_at_its_end()
    {
        var test = new TestCase([], null, "it's [odd]", TestOutcome.Failed);

        var own = RetryFilter.Narrow(
            new RetryDefinition(2, 5, null, ["--only={tests}"]), Command("sh", "-c", "./run.sh\n"), [test]);
        var node = RetryFilter.Narrow(
            new RetryDefinition(2, 5, "node", []), Command("sh", "-c", "cd api && node --test a.mjs"), [Adds]);
        var npm = RetryFilter.Narrow(new RetryDefinition(2, 5, "jest", []), Command("sh", "-c", "npm ci && npm test"), [Adds]);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(own.Run, Is.EqualTo(new[] { "sh", "-c", "./run.sh '--only=it'\\''s [odd]'" }));
            Assert.That(node.Run[2], Is.EqualTo("cd api && node --test '--test-name-pattern=(^|\\s)Adds$' a.mjs"));
            Assert.That(npm.Run[2], Does.StartWith("npm ci && npm test -- '--testNamePattern="));
        }
    }

    [TestCase("pytest", "pytest -x --maxfail 1 api", ExpectedResult = "pytest api --maxfail=0")]
    [TestCase("pytest", "python3 -m pytest --maxfail=2 api", ExpectedResult = "python3 -m pytest api --maxfail=0")]
    [TestCase("go", "go test -failfast -json ./...", ExpectedResult = "go test -json ./...")]
    [TestCase("jest", "npx jest --bail --ci", ExpectedResult = "npx jest --ci")]
    [TestCase("vitest", "npx vitest run --bail 1", ExpectedResult = "npx vitest run --bail=0")]
    [TestCase("mocha", "npx mocha -b", ExpectedResult = "npx mocha --no-bail")]
    [TestCase("ctest", "ctest --stop-on-failure --output-junit r.xml", ExpectedResult = "ctest --output-junit r.xml")]
    [TestCase("maven", "mvn -B verify", ExpectedResult = "mvn -B verify -Dmaven.test.failure.ignore=true")]
    [TestCase(
        "maven",
        "./mvnw verify -Dmaven.test.failure.ignore=false",
        ExpectedResult = "./mvnw verify -Dmaven.test.failure.ignore=false")]
    [TestCase("gradle", "./gradlew test", ExpectedResult = "./gradlew test --init-script go-on.gradle --continue")]
    [TestCase("cargo", "cargo test", ExpectedResult = "cargo test --no-fail-fast")]
    [TestCase("", "./all.sh -x", ExpectedResult = "./all.sh -x")]
    public string A_runner_is_found_by_its_program_and_made_to_go_on(string name, string command)
    {
        var definition = Run(Command(command.Split(' ')), null);
        var runner = Runner.Of(definition);

        Assert.That(runner.Name, Is.EqualTo(name));
        return string.Join(' ', runner.GoingOn(definition.Command, "go-on.gradle", isNamed: false).Run);
    }

    [TestCase("cd api && mvn -B verify", "maven", "cd api && mvn -B verify '-Dmaven.test.failure.ignore=true'")]
    [TestCase("mvn -B verify | tee log", "", "mvn -B verify | tee log")]
    [TestCase("pytest -x; rm -rf out", "", "pytest -x; rm -rf out")]
    public void A_script_is_changed_only_where_its_last_command_is_the_runner(string script, string name, string expected)
    {
        var definition = Run(Command("sh", "-c", script), null);
        var runner = Runner.Of(definition);

        Assert.That((runner.Name, runner.GoingOn(definition.Command, "x", isNamed: false).Run[2]), Is.EqualTo((name, expected)));
    }

    [TestCase(
        "dotnet",
        ExpectedResult = "run --filter " +
            "FullyQualifiedName!~Shop.CalculatorTests.Roots&FullyQualifiedName!~Shop.CalculatorTests.Adds")]
    [TestCase(
        "maven",
        ExpectedResult = "run -Dtest=!Shop.CalculatorTests#Roots,!Shop.CalculatorTests#Adds -DfailIfNoTests=false " +
            "-Dsurefire.failIfNoSpecifiedTests=false")]
    [TestCase("jest", ExpectedResult = "run --testNamePattern=^(?!(.*\\s)?(Roots\\(9,4\\)|Adds)$)")]
    [TestCase("mocha", ExpectedResult = "run --grep=^(?!(.*\\s)?(Roots\\(9,4\\)|Adds)$)")]
    [TestCase("gtest", ExpectedResult = "run --gtest_filter=-Shop.CalculatorTests.Roots(9,4):Shop.CalculatorTests.Adds")]
    [TestCase("go", ExpectedResult = null)]
    [TestCase("", ExpectedResult = null)]
    public string? A_framework_can_leave_tests_out(string framework) =>
        RetryFilter.Exclude(new Runner(framework), Command("run"), [Roots, Adds]) is { } command ? string.Join(' ', command.Run)
            : null;

    private static TestRunDefinition Run(CommandDefinition command, RetryDefinition? retry) =>
        new("unit", command, [], "auto", TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), retry, []);

    private static TestCase Go(string name) => new([], "example.com/shop", name, TestOutcome.Failed);

    private static CommandDefinition Command(params string[] run) => new(run, null, ".", new Dictionary<string, string>());
}
