using CiSteps.Fixtures;
using CiSteps.Hosting;

namespace CiSteps.UnitTest.Tests;

/// <summary>Only failed tests run again, with the filters of real frameworks and with names that filters do not like.</summary>
public sealed class RealFrameworks
{
    private const string Node = """
        import { test, describe, it } from 'node:test';
        import assert from 'node:assert';
        import fs from 'node:fs';
        const once = name => {
          fs.appendFileSync('ran.log', name.replace('\n', ' ') + '\n');
          return fs.readFileSync('ran.log', 'utf8').split('\n').filter(line => line === name.replace('\n', ' ')).length > 1;
        };
        describe('outer (suite)', () => {
          for (const name of ['a b', "it's [odd]", 'say "x" $HOME `id`', 'größe 😀', 'a/b #1',
            'plus + star * q?', 'back\\slash', 'x | y', '^start end$'])
            it(name, () => assert.ok(once(name)));
          it('a b c', () => { once('a b c'); });
        });
        test('top level', async t => {
          await t.test('inside of a test', () => assert.ok(once('inside of a test')));
        });

        """;

    private const string Pytest = """
        import pytest

        def once(name):
            with open("ran.log", "a", encoding="utf-8") as log: log.write(repr(name) + "\n")
            with open("ran.log", encoding="utf-8") as log: return log.read().split("\n").count(repr(name)) > 1

        class TestNames:
            @pytest.mark.parametrize("text", [
                "a b", "it's [odd]", 'say "x" $HOME `id`', "größe 😀",
                "a::b", "plus + star * q?", "back\\slash", "and or not", "new\nline"])
            def test_text(self, text):
                assert once(text)

            def test_text_fine(self):
                once("fine")

        """;

    [TestCase("--test-reporter=tap", "tap", "")]
    [TestCase("--test-reporter=junit --test-reporter-destination=r.xml", "junit", "reports: [r.xml]")]
    public async Task Nodes_runner(string reporter, string format, string reports)
    {
        using var project = new Project(
            $"run: node --test {reporter} api/names.test.mjs\nformat: {format}\nretry:\n  framework: " +
            $"node\n{reports}").Change("api/names.test.mjs", Node);

        // Once more with all the others: its exit code says nothing, so that the whole has to end well by itself.
        await Flaky(project, 10, "a b c", runs: 2);
    }

    [Test]
    public async Task Pytest_in_two_components_at_once_from_one_folder()
    {
        using var project = new Project(
            "run: [pytest, -q, --junitxml=api.xml, api]\nformat: junit\nreports: [api.xml]\nretry:\n  framework: pytest",
            "run: [pytest, -q, --junitxml=web.xml, web]\nformat: junit\nreports: [web.xml]\nretry:\n  framework: pytest");
        project.Clone.Write("pytest.ini", "[pytest]\n");
        project.Clone.Write(
            "web/test_web.py",
            Pytest
                .Replace("ran.log", "web.log", StringComparison.Ordinal)
                .Replace("TestNames", "TestWeb", StringComparison.Ordinal));
        project.Change("api/test_names.py", Pytest);

        var exit = await project.RunAsync("--all", "--parallel", "2");

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((int)project.Component("api")["flaky"]!, Is.EqualTo(9), project.Output);
            Assert.That((int)project.Component("web")["flaky"]!, Is.EqualTo(9), project.Output);
            Assert.That(Ran(project).Count(line => line == "'fine'"), Is.EqualTo(1), "only what failed runs again");
            Assert.That(Directory.Exists(Path.Combine(project.Clone.Folder, ".pytest_cache")), Is.False);
        }
    }

    [TestCase("NUnit", 11, "Fine", "FineNested", "StockFine", "BranchFine")]
    [TestCase("Xunit", 10, "Fine", "FineNested", "StockFine")]
    public async Task DotNet_test_with(string framework, int expected, params string[] passing)
    {
        var output = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
        var assembly = $"CiSteps.UnitTest.Tests.{framework}";
        var path = Path.Combine(output.Parent!.Parent!.FullName, assembly, output.Name, assembly + ".dll");
        using var folder = new TestFolder();
        using var project = new Project(
            $"run: [dotnet, test, '{path}', '--logger:trx;LogFileName=r.trx', --results-directory, out]\nformat: trx\nreports: " +
            $"[out/*.trx]\nretry:\n  framework: dotnet\n  most-tests: 20\nenv:\n  RAN: {folder.Of("ran.log")}").Change();

        var exit = await project.RunAsync();

        var ran = await File.ReadAllLinesAsync(folder.Of("ran.log"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((int)project.Component("api")["flaky"]!, Is.EqualTo(expected), project.Output);
            Assert.That(ran.Where(passing.Contains), Is.EquivalentTo(passing), "only what failed runs again");
            Assert.That(
                ran.GroupBy(line => line).Where(lines => !passing.Contains(lines.Key)).Select(lines => lines.Count()),
                Has.Exactly(expected).EqualTo(2));
        }
    }

    [Test]
    public async Task A_hanging_pytest_is_named()
    {
        using var project = new Project(
            "run: [pytest, -v, --junitxml=r.xml, api]\nformat: junit\nreports: [r.xml]\nsilence-limit: 15s");
        project.Change("api/test_names.py", "import time\ndef test_quick(): pass\ndef test_hangs(): time.sleep(600)\n");

        await project.RunAsync();

        Assert.That(
            project.Text,
            Does.Contain("after 15s without output; \"api/test_names.py::test_hangs\" was running"),
            project.Output);
    }

    private static async Task Flaky(Project project, int expected, string passing, int runs = 1)
    {
        var exit = await project.RunAsync();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Done), project.Output);
            Assert.That((int)project.Component("api")["flaky"]!, Is.EqualTo(expected), project.Output);
            Assert.That(Ran(project).Count(line => line == passing), Is.EqualTo(runs), "only what failed runs again");
        }
    }

    private static string[] Ran(Project project) => File.ReadAllLines(Path.Combine(project.Clone.Folder, "ran.log"));
}
