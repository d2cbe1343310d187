using CiSteps.Fixtures;
using CiSteps.Hosting.Options;

namespace CiSteps.Hosting.Tests;

public sealed class Properties
{
    [Test]
    public void Every_utf16_unit_comes_back_in_keys_and_values()
    {
        var values = Enumerable
            .Range(0, char.MaxValue + 1)
            .ToDictionary(unit => $"{(char)unit}k{unit}", unit => $"{(char)unit}v{(char)unit}", StringComparer.Ordinal);

        var text = JavaProperties.Write(values);

        Assert.That(text.All(letter => letter is '\n' or (>= ' ' and <= '~')), Is.True);
        var read = JavaProperties.Parse(text);
        Assert.That(read, Has.Count.EqualTo(values.Count));
        Assert.That(values.Where(pair => read.GetValueOrDefault(pair.Key) != pair.Value), Is.Empty);
    }

    [TestCase("a=b", "a", "b")]
    [TestCase("a = b ", "a", "b ")]
    [TestCase("a:b", "a", "b")]
    [TestCase("  a b", "a", "b")]
    [TestCase("a\tb=c", "a", "b=c")]
    [TestCase("a\\=b=c", "a=b", "c")]
    [TestCase("a\\ b=c", "a b", "c")]
    [TestCase("a=b\\\n   c", "a", "bc")]
    [TestCase("a=b\\\r\n   c", "a", "bc")]
    [TestCase("a=b\\\\", "a", "b\\")]
    [TestCase("a=C\\:\\\\temp", "a", "C:\\temp")]
    [TestCase("a=\\u00fc\\u20AC", "a", "ü€")]
    [TestCase("a=x\\ty\\nz", "a", "x\ty\nz")]
    [TestCase("a", "a", "")]
    [TestCase("a=", "a", "")]
    [TestCase("a=b\u0085c", "a", "b\u0085c")]
    [TestCase("a=b\fc", "a", "b\fc")]
    [TestCase("a=\\\n#b", "a", "#b")]
    [TestCase("a=1\na=2", "a", "2")]
    [TestCase("#comment\\\na=b", "a", "b")]
    [TestCase("! comment\r\ra=b", "a", "b")]
    public void Java_files_are_read_as_java_reads_them(string text, string key, string value)
    {
        var read = JavaProperties.Parse(text);

        Assert.That(read, Has.Count.EqualTo(1));
        Assert.That(read.Single(), Is.EqualTo(new KeyValuePair<string, string>(key, value)));
    }

    [Test]
    public void Both_files_of_the_build_server_are_read_and_the_second_wins()
    {
        using var folder = new TestFolder();
        var second = folder.Write(
            "config.properties", JavaProperties.Write([new("build.number", "7"), new("teamcity.build.branch", "ci/ü")]));
        var first = folder.Write(
            "build.properties",
            JavaProperties.Write([
                new("build.number", "6"),
                new("only.system", "x"),
                new("teamcity.configuration.properties.file", second)
            ]));

        var properties = BuildServerProperties.Read(new Dictionary<string, string>
        {
            ["TEAMCITY_BUILD_PROPERTIES_FILE"] = first
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(properties.Find("build.number"), Is.EqualTo("7"));
            Assert.That(properties.Find("teamcity.build.branch"), Is.EqualTo("ci/ü"));
            Assert.That(properties.Find("only.system"), Is.EqualTo("x"));
            Assert.That(properties.Find("nothing"), Is.Null);
            Assert.That(
                () => BuildServerProperties.Read(new Dictionary<string, string>
                {
                    ["TEAMCITY_BUILD_PROPERTIES_FILE"] = folder.Of("none")
                }),
                Throws.TypeOf<UsageException>().With.Message.Contains("none"));
        }
    }
}
