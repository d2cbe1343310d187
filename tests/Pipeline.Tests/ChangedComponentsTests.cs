namespace CiSteps.Pipeline.Tests;

public sealed class Changed_components
{
    private static readonly PipelineDefinition File = PipelineFile.Parse("""
        components:
          - { name: base, paths: [base/**] }
          - { name: middle, paths: [middle/**], depends-on: [base] }
          - { name: top, paths: [top/**, "!top/*.md"], depends-on: [middle] }
          - { name: other, paths: [other/**] }
        """, "ci-steps.yaml");

    private static IEnumerable<string> ChangedBy(params string[] paths) =>
        ChangedComponents.Decide(File, paths).Where(change => change.Changed).Select(change => change.Component.Name);

    [TestCase(".gitattributes", true)]
    [TestCase("deep/.gitattributes", true)]
    [TestCase("deep/inner/.gitattributes", true)]
    [TestCase("elsewhere/.gitattributes", false)]
    public void Attributes_touch_what_they_can_apply_to(string path, bool touched)
    {
        var file = PipelineFile.Parse("""
            registry: { push: localhost:5000 }
            components:
              - { name: one, paths: ["deep/inner/*.c"] }
            """, "f");
        Assert.That(ChangedComponents.Decide(file, [path]).Single().Changed, Is.EqualTo(touched));
    }

    [Test]
    public void Are_none_when_nothing_of_theirs_changed() => Assert.That(ChangedBy("README.md", "top/README.md"), Is.Empty);

    [Test]
    public void Are_those_whose_paths_changed() => Assert.That(ChangedBy("other/a/b"), Is.EqualTo(new[] { "other" }));

    [Test]
    public void Are_those_too_that_depend_on_one_however_far() =>
        Assert.That(ChangedBy("base/x"), Is.EqualTo(new[] { "base", "middle", "top" }));

    [Test]
    public void Are_all_when_the_pipeline_file_changed() =>
        Assert.That(ChangedBy("ci-steps.yaml"), Is.EqualTo(new[] { "base", "middle", "top", "other" }));

    [Test]
    public void Say_why()
    {
        var reasons = ChangedComponents.Decide(File, ["base/x", "base/y", "top/z"]).Select(change => change.Reason);
        Assert.That(
            reasons,
            Is.EqualTo(
                new[]
                {
                    "base/x and 1 more changed",
                    "depends on \"base\", which changed",
                    "top/z changed",
                    "nothing of it changed"
                }));
    }

    [Test]
    public void Are_compared_each_with_a_commit_of_its_own()
    {
        var changes = ChangedComponents.Decide(
            File, component => component.Name switch { "other" => null, "top" => ["top/x"], _ => [] });
        Assert.That(changes.Select(change => (change.Component.Name, change.Changed, change.Reason)), Is.EqualTo(new[]
        {
            ("base", false, "nothing of it changed"), ("middle", false, "nothing of it changed"), ("top", true, "top/x changed"),
            ("other", true, "there is no earlier commit to compare with"),
        }));
    }
}
