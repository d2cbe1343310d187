using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using CiSteps.Fixtures;

namespace CiSteps.Hosting.Tests;

public sealed class SecretMasks
{
    private const string Secret = "p@ss w/ord+\"quo\\te\"<ü>&1234";

    private static SecretMask Mask(string secret = Secret)
    {
        var mask = new SecretMask();
        mask.Add(secret);
        return mask;
    }

    public static IEnumerable<TestCaseData> Forms()
    {
        var bytes = Encoding.UTF8.GetBytes(Secret);
        yield return Named("as it is", Secret);
        yield return Named("base64", Convert.ToBase64String(bytes));
        yield return Named("base64url", Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_'));
        yield return Named("form-encoded", WebUtility.UrlEncode(Secret));
        yield return Named("percent-encoded", Uri.EscapeDataString(Secret));
        yield return Named("percent-encoded in lower case", Lower(Uri.EscapeDataString(Secret)));
        yield return Named("in JSON", JavaScriptEncoder.Default.Encode(Secret));
        yield return Named("in JSON as most write it", JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(Secret));
        yield return Named(
            "in XML or HTML",
            Secret.Replace("&", "&amp;", StringComparison.Ordinal)
                .Replace("<", "&lt;", StringComparison.Ordinal)
                .Replace(">", "&gt;", StringComparison.Ordinal)
                .Replace("\"", "&quot;", StringComparison.Ordinal));

        static TestCaseData Named(string name, string form) => new TestCaseData(form).SetArgDisplayNames(name);

        static string Lower(string text) =>
            System.Text.RegularExpressions.Regex.Replace(text, "%..", match => match.Value.ToLowerInvariant());
    }

    [TestCaseSource(nameof(Forms))]
    public void Every_common_form_is_hidden(string form) =>
        Assert.That(Mask().Apply($"before {form} after"), Is.EqualTo("before *** after"));

    [TestCase("")]
    [TestCase("u:")]
    [TestCase("us:")]
    [TestCase("user:")]
    public void Base64_hides_it_at_every_alignment(string before)
    {
        foreach (var after in new[] { "", "\n", "\nx", "xyz" })
        {
            var masked = Mask().Apply(Convert.ToBase64String(Encoding.UTF8.GetBytes(before + Secret + after)));
            Assert.That(masked, Does.Contain("***"));
            // What is left are the digits at both ends, which tell at most some bits of the first and last letter.
            Assert.That(
                masked.Replace("***", "", StringComparison.Ordinal).Length,
                Is.LessThanOrEqualTo(Convert.ToBase64String(Encoding.UTF8.GetBytes(before + after)).Length + 8));
        }
    }

    [Test]
    public void Lines_of_a_secret_of_many_lines_are_hidden_one_by_one()
    {
        const string key = "-----BEGIN KEY-----\nMIIabcdefgh\nijklmnopqr\n-----END KEY-----\n";
        using var output = new StringWriter();
        var log = new BuildLog(output, forServer: false);
        log.Mask.Add(key);

        log.Info(key);
        log.ProcessOutput("MIIabcdefgh");
        log.ProcessOutput("xx ijklmnopqr yy");

        Assert.That(output.ToString(), Does.Not.Contain("MIIabc").And.Not.Contain("ijklm"));
    }

    [Test]
    public void The_longer_of_two_secrets_is_hidden_whole()
    {
        var mask = Mask("secret");
        mask.Add("secret-and-more");

        Assert.That(mask.Apply("a secret-and-more b secret c"), Is.EqualTo("a *** b *** c"));
    }

    [Test]
    public void Short_values_are_no_secrets_and_nothing_is_hidden_without_one()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Mask("abc").Apply("abcabc"), Is.EqualTo("abcabc"));
            Assert.That(new SecretMask().Apply("text"), Is.EqualTo("text"));
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_secret_from_the_environment_or_a_file_never_reaches_log_or_evidence(bool fromFile)
    {
        using var folder = new TestFolder();
        var step = new TestStep();
        if (fromFile) step.Environment["DEPLOY_TOKEN_FILE"] = folder.Write("token", Secret + "\n");
        else step.Environment["DEPLOY_TOKEN"] = Secret;
        string? found = null;

        var exit = await step.RunAsync(context =>
        {
            found = context.FindSecret("DEPLOY_TOKEN");
            context.Run = TestStep.Run;
            context.Log.Info($"token {found}");
            return Outcome
                .Refused("no", $"the server said: bad token {found}")
                .With("url", $"https://x/?t={Uri.EscapeDataString(found!)}");
        }, "--work-tree", folder.Path);

        var evidence = File.ReadAllText(folder.Of(".ci-steps/evidence/test-step/statement.json"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(exit, Is.EqualTo(ExitCode.Refused));
            Assert.That(found, Is.EqualTo(Secret));
            Assert.That(step.Output, Does.Not.Contain(Secret).And.Contain("token ***"));
            Assert.That(evidence, Does.Contain("bad token ***").And.Contain("t=***").And.Not.Contain("1234"));
            Assert.That(System.Text.Json.Nodes.JsonNode.Parse(evidence), Is.Not.Null);
        }
    }
}
