using CiSteps.Images;

namespace CiSteps.ImageBuild.Tests;

public sealed class ImageBuildPlanTests
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";
    private static readonly ImageReference Name = ImageReference.Parse("registry.example/ci/app:1.7-0123456789ab");
    private static readonly ImageReference CertifiedName = ImageReference.Parse("registry.example/app:1-production");
    private static readonly TaggedImage Certified = new("sha256:" + new string('c', 64), "old", "1.1-old");
    private static readonly TaggedImage Own = new("sha256:" + new string('a', 64), Commit, "1.7-0123456789ab");

    private static IEnumerable<TestCaseData> Cases()
    {
        TestCaseData Case(
            string name,
            bool changed,
            TaggedImage? existing,
            TaggedImage? certified,
            string? neededBy,
            bool dirty,
            ImageAct act) =>
            new TestCaseData(changed, existing, certified, neededBy, dirty, act).SetName(name);
        yield return Case("changed and not there yet is built", true, null, Certified, null, false, ImageAct.Build);
        yield return Case("changed before the first release is built", true, null, null, null, false, ImageAct.Build);
        yield return Case("built from this commit before is done", true, Own, Certified, null, false, ImageAct.AlreadyDone);
        yield return Case(
            "of another commit under our tag is refused",
            true,
            Own with { Revision = "other" },
            null,
            null,
            false,
            ImageAct.Refuse);
        yield return Case(
            "of unknown origin under our tag is refused",
            true,
            new TaggedImage(Own.Digest, null, null),
            null,
            null,
            false,
            ImageAct.Refuse);
        yield return Case(
            "of another tag's build under our tag is refused",
            true,
            Own with { Version = "1.6-0123456789ab" },
            null,
            null,
            false,
            ImageAct.Refuse);
        yield return Case("uncommitted changes are never taken for built already", true, Own, null, null, true, ImageAct.Refuse);
        yield return Case("unchanged stands as certified", false, null, Certified, null, false, ImageAct.UseCertified);
        yield return Case(
            "unchanged stands as certified even where a suite deploys it",
            false,
            null,
            Certified,
            "smoke",
            false,
            ImageAct.UseCertified);
        yield return Case(
            "unchanged and never certified and not needed is left out", false, null, null, null, false, ImageAct.Skip);
        yield return Case(
            "unchanged and never certified but deployed by a suite is built", false, null, null, "smoke", false, ImageAct.Build);
        yield return Case("unchanged, needed and built before is done", false, Own, null, "smoke", false, ImageAct.AlreadyDone);
    }

    [TestCaseSource(nameof(Cases))]
    public void Decides(bool changed, TaggedImage? existing, TaggedImage? certified, string? neededBy, bool dirty, object act)
    {
        var plan = ImageBuildPlan.For(new ImageBuildFacts(
            Commit, dirty, [new ComponentFacts("app", changed, "because", Name, existing, CertifiedName, certified, neededBy)]));
        Assert.That(plan.Actions.Single().Act, Is.EqualTo(act), plan.Text);
        Assert.That(plan.Refusal.Length > 0, Is.EqualTo((ImageAct)act == ImageAct.Refuse));
        Assert.That(plan.Text, Does.Contain((ImageAct)act == ImageAct.Refuse ? Name.ToString() : "app"));
    }
}
