using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.TeamCity.Parameters;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Tests;

public sealed class References_in_a_text
{
    [TestCase("%a%/%b.c%", "<a>/<b.c>")]
    [TestCase("100%% sure", "100% sure")]
    [TestCase("%%a%%", "%a%")]
    [TestCase("50% of 60%", "50% of 60%")]
    [TestCase("%dep.A_B.build.number%", "<dep.A_B.build.number>")]
    [TestCase("%a", "%a")]
    [TestCase("date +%Y-%m-%d", "date +<Y->m-%d", Description = "as on a server: double the signs of a date format")]
    [TestCase("date +%%Y-%%m", "date +%Y-%m")]
    public void Are_replaced(string text, string expected) =>
        Assert.That(References.Replace(text, name => $"<{name}>"), Is.EqualTo(expected));

    [Test]
    public void Are_hidden_by_escaping()
    {
        foreach (var text in new[] { "%a%", "%%", "a%b", "%", "" })
            Assert.That(
                References.Replace(References.Escape(text), _ => throw new InvalidOperationException()), Is.EqualTo(text));
    }
}

public sealed class The_parameters_of_a_build
{
    [Test]
    public void Come_from_projects_templates_and_the_configuration_nearest_first()
    {
        using var toy = new ToyTree();
        toy.Project("Toy", null,
            "<parameters><param name=\"a\" value=\"project\" /><param name=\"b\" value=\"project\" /><param name=\"c\" " +
            "value=\"project\" /><param name=\"d\" value=\"%a%\" /></parameters>");
        toy.Template("Toy_T",
            "<parameters><param name=\"b\" value=\"template\" /><param name=\"c\" value=\"template\" /></parameters>");
        toy.Build("Toy_B", "<parameters><param name=\"c\" value=\"own\" /></parameters>", "Toy_T");
        var tree = toy.Load();
        var parameters = new BuildParameters(tree, Inheritance.Effective(tree, "Toy_B"), "/tools");
        Assert.That(
            new[] { "a", "b", "c", "d", "teamcity.tool.anything-1.2" }.Select(parameters.Find),
            Is.EqualTo(new[] { "project", "template", "own", "project", "/tools" }));
    }

    [Test]
    public void Refuse_what_nothing_defines_and_name_the_place()
    {
        using var toy = new ToyTree();
        toy.Build("Toy_B", "<parameters><param name=\"a\" value=\"%nowhere%\" /></parameters>");
        var tree = toy.Load();
        var parameters = new BuildParameters(tree, Inheritance.Effective(tree, "Toy_B"), "/tools");
        Assert.That(
            () => parameters.Resolve("%a%", new SourceLocation("x.xml", 7)),
            Throws.InstanceOf<UsageException>().With.Message
                .Contains("Toy/buildTypes/Toy_B.xml:6").And.Message
                .Contains("nowhere"));
        Assert.That(
            () => parameters.Resolve("%b%", new SourceLocation("x.xml", 7)),
            Throws.InstanceOf<UsageException>().With.Message.StartsWith("x.xml:7:"));
    }

    [Test]
    public void Refuse_a_circle()
    {
        using var toy = new ToyTree();
        toy.Build("Toy_B", "<parameters><param name=\"a\" value=\"%b%\" /><param name=\"b\" value=\"%a%\" /></parameters>");
        var tree = toy.Load();
        Assert.That(
            () => new BuildParameters(tree, Inheritance.Effective(tree, "Toy_B"), "/tools").Find("a"),
            Throws.InstanceOf<UsageException>().With.Message.Contains("a -> b -> a"));
    }

    [TestCase("equals", "1", "1", true)]
    [TestCase("does-not-equal", null, "1", false)]
    [TestCase("exists", "", null, true)]
    [TestCase("not-exists", null, null, true)]
    [TestCase("contains", "Linux 6", "Linux", true)]
    [TestCase("matches", "abc", "a.c", true)]
    [TestCase("matches", "abcd", "a.c", false)]
    [TestCase("more-than", "10", "9", true)]
    [TestCase("ver-more-than", "1.10", "1.9", true)]
    [TestCase("ver-no-less-than", "1.9", "1.10", false)]
    [TestCase("no-more-than", "text", "9", false)]
    public void Meet_conditions(string kind, string? actual, string? expected, bool holds) =>
        Assert.That(
            ConditionCheck.Holds(new Condition(kind, "p", expected, new SourceLocation("x", 1)), _ => actual), Is.EqualTo(holds));
}
