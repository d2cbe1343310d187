using CiSteps.Hosting;
using CiSteps.Testbeds.Claims;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class NamingClaims
{
    private static readonly RunIdentity Run = new(
        "https://git.example/shop.git",
        "ci/greeting",
        false,
        new string('a', 40),
        "812",
        false);

    [Test]
    public void The_same_chain_and_suite_always_give_the_same_name() =>
        Assert.That(ClaimNames.Of(Run with { Branch = "another" }, "smoke"), Is.EqualTo(ClaimNames.Of(Run, "smoke")));

    [Test]
    public void Every_part_of_the_chains_identity_counts()
    {
        string[] names =
        [
            ClaimNames.Of(Run, "smoke"), ClaimNames.Of(Run, "load"), ClaimNames.Of(Run with { BuildNumber = "813" }, "smoke"),
            ClaimNames.Of(Run with { Commit = new string('b', 40) }, "smoke"),
            ClaimNames.Of(Run with { Repository = "https://git.example/other.git" }, "smoke"),
        ];

        Assert.That(names, Is.Unique);
    }

    [Test]
    public void Claims_of_one_chain_share_their_label_and_other_chains_have_another() =>
        Assert.That(ClaimNames.ChainOf(Run), Is.Not.EqualTo(ClaimNames.ChainOf(Run with { BuildNumber = "813" })));

    [TestCase("smoke", "812")]
    [TestCase("Größe & Last!", "0-dev.20260301T120000")]
    [TestCase("---", "1.2.3/x")]
    [TestCase(
        "a-very-long-suite-name-that-nobody-should-give-but-somebody-will-give-anyway-some-day",
        "10000000000000000000000000000000")]
    [TestCase("", "")]
    public void A_name_is_a_valid_object_name_whatever_the_parts_are(string suite, string number) =>
        Assert.That(ClaimNames.Of(Run with { BuildNumber = number }, suite), Does.Match("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"));
}
