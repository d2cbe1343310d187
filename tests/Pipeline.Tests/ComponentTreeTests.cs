using CiSteps.Fixtures;
using CiSteps.Repositories;

namespace CiSteps.Pipeline.Tests;

public sealed class A_components_tree
{
    [Test]
    public void Has_the_same_id_as_long_as_nothing_of_it_changes()
    {
        using var git = new GitRepositories();
        var clone = git.Clone();
        const string file = """
            components:
              - { name: lib, paths: [lib/**] }
              - { name: app, paths: [app/**], depends-on: [lib] }
              - { name: other, paths: [other/**] }
            """;
        clone.Write("lib/l", "1");
        clone.Write("app/a", "1");
        clone.Write("other/o", "1");
        var commits = new List<string> { clone.Commit("ci-steps.yaml", file) };
        commits.Add(clone.Commit("other/o", "2"));
        commits.Add(clone.Commit("lib/l", "2"));
        commits.Add(clone.Commit("lib/l", "1"));
        clone.Git("update-index", "--chmod=+x", "app/a");
        clone.Git("commit", "--quiet", "-m", "Make it run");
        commits.Add(clone.Head);
        commits.Add(clone.Commit("ci-steps.yaml", file + "\n"));
        var definition = PipelineFile.Parse(file, "ci-steps.yaml");
        using var repository = WorkRepository.Open(clone.Folder);
        var ids = commits.Select(commit => ComponentTree.IdOf(repository, commit, definition, "app")).ToList();
        Assert.Multiple(() =>
        {
            Assert.That(ids[1], Is.EqualTo(ids[0]), "another component changed");
            Assert.That(ids[2], Is.Not.EqualTo(ids[0]), "what it depends on changed");
            Assert.That(ids[3], Is.EqualTo(ids[0]), "it changed back");
            Assert.That(ids[4], Is.Not.EqualTo(ids[0]), "a mode changed");
            Assert.That(ids[5], Is.Not.EqualTo(ids[4]), "the pipeline file changed");
        });
    }
}
