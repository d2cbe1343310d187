namespace CiSteps.TeamCity.Tests;

public sealed class A_command_line
{
    [TestCase("a b  c", "a|b|c")]
    [TestCase("--config \"my file.yaml\" x", "--config|my file.yaml|x")]
    [TestCase("--a='b c'", "--a=b c")]
    [TestCase("\"say \\\"hi\\\"\"", "say \"hi\"")]
    [TestCase("\"\" end", "|end")]
    [TestCase("C:\\dir\\tool.exe", "C:\\dir\\tool.exe")]
    [TestCase("", "")]
    public void Is_split_into_words(string text, string words) =>
        Assert.That(string.Join('|', CommandLine.Split(text)), Is.EqualTo(words));
}
