using CiSteps.Hosting.Messages;

namespace CiSteps.Hosting.Tests;

public sealed class ServiceMessages
{
    [Test]
    public void Every_utf16_unit_comes_back_as_it_was()
    {
        for (var unit = 0; unit <= char.MaxValue; unit++)
        {
            var value = $"a{(char)unit}b{(char)unit}";
            var line = ServiceMessage.With("testStarted", ("name", value)).ToString();
            if (!ServiceMessage.TryParse(line, out var read)
                || read["name"] != value
                || line.Any(letter => letter is > '\u007f' or '\n' or '\r'))
                Assert.Fail($"U+{unit:X4} became {line}");
            if (!ServiceMessage.TryParse(ServiceMessage.Of("progressMessage", value).ToString(), out read) || read.Value != value)
                Assert.Fail($"U+{unit:X4} is lost in the short form");
        }
    }

    [Test]
    public void Every_surrogate_pair_comes_back_as_it_was()
    {
        for (var high = 0xd800; high < 0xdc00; high++)
        {
            var value = string.Concat(Enumerable.Range(0xdc00, 0x400).Select(low => $"{(char)high}{(char)low}"));
            Assert.That(ServiceMessage.TryParse(ServiceMessage.With("m", ("a", value)).ToString(), out var read), Is.True);
            if (read!["a"] != value) Assert.Fail($"pairs of U+{high:X4}");
        }
    }

    [Test]
    public void Texts_made_of_escapes_and_quotes_come_back_as_they_were()
    {
        var random = new Random(7);
        const string letters = "|'[]nrxlp0\n\r= #teamcity\u0085\u2028";
        for (var round = 0; round < 5000; round++)
        {
            var value = new string([.. Enumerable
                .Range(0, random.Next(0, 30))
                .Select(_ => letters[random.Next(letters.Length)])]);
            var message = ServiceMessage.With("m", ("a", value), ("b-c", value + "x"), ("d.e", ""));
            Assert.That(ServiceMessage.TryParse(message.ToString(), out var read), Is.True, message.ToString());
            Assert.That(read!.Attributes, Is.EqualTo(message.Attributes));
        }
    }

    [TestCase("##teamcity[")]
    [TestCase("##teamcity[]")]
    [TestCase("##teamcity[m a='b']x")]
    [TestCase("##teamcity[m a='b' c]")]
    [TestCase("##teamcity[m a='b' c=]")]
    [TestCase("##teamcity[m a='b]")]
    [TestCase("##teamcity[m a=b]")]
    [TestCase("##teamcity[m 'a' b='c']")]
    [TestCase("##teamcity[m a='|']")]
    [TestCase("##teamcity[m a='|q']")]
    [TestCase("##teamcity[m a='|0x12']")]
    [TestCase("##teamcity[m a='|0xzzzz']")]
    [TestCase("##teamcity[m a='x[y']")]
    [TestCase("##teamcity[m a='x]y']")]
    [TestCase("##teamcity[1m a='b']")]
    [TestCase("##TeamCity[m a='b']")]
    [TestCase("text ##teamcity[m a='b']")]
    [TestCase("##teamcity [m a='b']")]
    public void What_is_not_exactly_a_message_is_not_read_as_one(string line) =>
        Assert.That(ServiceMessage.TryParse(line, out _), Is.False);

    [TestCase("##teamcity[m]", 0)]
    [TestCase("  ##teamcity[m a='b']  ", 1)]
    [TestCase("##teamcity[m a='b'c = 'd' ]", 2)]
    public void What_the_server_takes_is_read(string line, int attributes)
    {
        Assert.That(ServiceMessage.TryParse(line, out var message), Is.True);
        Assert.That(message!.Attributes, Has.Count.EqualTo(attributes));
    }

    [Test]
    public void Timestamps_have_milliseconds_and_an_offset_without_a_colon() =>
        Assert.That(
            ServiceMessage.Timestamp(new DateTimeOffset(2026, 11, 23, 7, 5, 9, 4, TimeSpan.FromHours(-3.5))),
            Is.EqualTo("2026-11-23T07:05:09.004-0330"));
}
