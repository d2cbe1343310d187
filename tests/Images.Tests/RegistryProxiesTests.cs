using System.Net;
using System.Net.Sockets;
using CiSteps.Hosting;

namespace CiSteps.Images.Tests;

/// <summary>The rules of Go's programs, docker's client among them.</summary>
public sealed class RegistryProxiesTests
{
    private const string Proxy = "http://proxy.example:3128";

    [TestCase("example.com", "https://example.com/", false)]
    [TestCase("example.com", "https://EXAMPLE.com/", false)]
    [TestCase("EXAMPLE.com", "https://example.com/", false)]
    [TestCase("example.com", "https://registry.example.com/", false)]
    [TestCase("example.com", "https://myexample.com/", true)]
    [TestCase("example.com", "https://example.com.evil/", true)]
    [TestCase(".example.com", "https://example.com/", true)]
    [TestCase(".example.com", "https://registry.example.com/", false)]
    [TestCase("*.example.com", "https://example.com/", true)]
    [TestCase("*.example.com", "https://registry.example.com/", false)]
    [TestCase("example.com:5000", "https://example.com:5000/", false)]
    [TestCase("example.com:5000", "https://example.com/", true)]
    [TestCase("example.com:443", "https://example.com/", false)]
    [TestCase("example.com:80", "http://example.com/", false)]
    [TestCase("example.com:https", "https://example.com/", true)]
    [TestCase(" one , two.example , ", "https://two.example/", false)]
    [TestCase("one,two.example", "https://three.example/", true)]
    [TestCase("one two.example", "https://two.example/", true)]
    [TestCase("*", "https://anything.example/", false)]
    [TestCase("one,*", "https://10.0.0.1/", false)]
    [TestCase("10.1.2.3", "https://10.1.2.3/", false)]
    [TestCase("10.1.2.3", "https://10.1.2.30/", true)]
    [TestCase("10.1.2.3:5000", "https://10.1.2.3:5000/", false)]
    [TestCase("10.1.2.3:5000", "https://10.1.2.3/", true)]
    [TestCase("10.0.0.0/8", "https://10.200.3.4:5000/", false)]
    [TestCase("10.9.9.9/8", "https://10.200.3.4/", false)]
    [TestCase("10.0.0.0/8", "https://11.0.0.1/", true)]
    [TestCase("192.168.4.0/22", "https://192.168.7.255/", false)]
    [TestCase("192.168.4.0/22", "https://192.168.8.0/", true)]
    [TestCase("0.0.0.0/0", "https://192.168.8.0/", false)]
    [TestCase("10.0.0.0/33", "https://10.0.0.1/", true)]
    [TestCase("10.0.0.0/8", "https://registry.example/", true)]
    [TestCase("fd00::/8", "https://[fd12::1]:5000/", false)]
    [TestCase("fd00::/8", "https://[fe12::1]:5000/", true)]
    [TestCase("::1234", "https://[::1234]/", false)]
    [TestCase("[::1234]:5000", "https://[::1234]:5000/", false)]
    [TestCase("[::1234]:5000", "https://[::1234]/", true)]
    [TestCase("::ffff:10.1.2.3", "https://10.1.2.3/", false)]
    [TestCase("10", "https://0.0.0.10/", false)]
    [TestCase(":5000", "https://example.com:5000/", true)]
    [TestCase("", "https://example.com/", true)]
    [TestCase("", "https://localhost:5000/", false)]
    [TestCase("", "https://127.0.0.1:5000/", false)]
    [TestCase("", "https://127.9.9.9/", false)]
    [TestCase("", "https://[::1]:5000/", false)]
    [TestCase("", "https://[::ffff:127.0.0.1]/", false)]
    public void Goes_by_the_proxy_unless_the_list_of_exceptions_names_the_host(string except, string address, bool byProxy)
    {
        var proxies = RegistryProxies.Of(new Dictionary<string,
            string>
        { ["HTTPS_PROXY"] = Proxy, ["HTTP_PROXY"] = Proxy, ["NO_PROXY"] = except });
        Assert.That(proxies.GetProxy(new Uri(address)), Is.EqualTo(byProxy ? new Uri(Proxy) : null));
        Assert.That(proxies.IsBypassed(new Uri(address)), Is.EqualTo(!byProxy));
    }

    [TestCase("https://r.example/", "HTTPS_PROXY=http://a:1", "http://a:1/")]
    [TestCase("https://r.example/", "https_proxy=http://a:1", "http://a:1/")]
    [TestCase("https://r.example/", "HTTPS_PROXY=http://a:1 https_proxy=http://b:1", "http://a:1/")]
    [TestCase("https://r.example/", "HTTPS_PROXY= https_proxy=http://b:1", "http://b:1/")]
    [TestCase("https://r.example/", "HTTP_PROXY=http://a:1", null)]
    [TestCase("http://r.example/", "HTTP_PROXY=http://a:1", "http://a:1/")]
    [TestCase("http://r.example/", "HTTPS_PROXY=http://a:1", null)]
    [TestCase("https://r.example/", "ALL_PROXY=http://a:1", null)]
    [TestCase("https://r.example/", "HTTPS_PROXY=a:1", "http://a:1/")]
    [TestCase("https://r.example/", "HTTPS_PROXY=a.example", "http://a.example/")]
    [TestCase("https://r.example/", "HTTPS_PROXY=10.0.0.1:3128", "http://10.0.0.1:3128/")]
    [TestCase("https://r.example/", "HTTPS_PROXY=https://a:1", "https://a:1/")]
    [TestCase("https://r.example/", "HTTPS_PROXY=socks5://a:1", "socks5://a:1")]
    [TestCase("https://r.example/", "HTTPS_PROXY=http://a:1 no_proxy=r.example", null)]
    [TestCase("https://r.example/", "HTTPS_PROXY=http://a:1 no_proxy=r.example NO_PROXY=other", "http://a:1/")]
    public void Takes_the_proxy_of_the_scheme(string address, string variables, string? expected)
    {
        var environment = variables.Split(' ').Select(variable => variable.Split('=', 2)).ToDictionary(pair => pair[0], pair =>
            pair[1]);
        Assert.That(RegistryProxies.Of(environment).GetProxy(new Uri(address))?.OriginalString.TrimEnd('/'),
            Is.EqualTo(expected?.TrimEnd('/')));
    }

    [Test]
    public void Knows_a_proxys_user_and_password()
    {
        var proxies = RegistryProxies.Of(new Dictionary<string,
            string>
        { ["HTTPS_PROXY"] = "http://us%40er:pass%3Aword@proxy.example:3128" });
        var proxy = proxies.GetProxy(new Uri("https://r.example/"))!;
        var credential = proxies.Credentials!.GetCredential(proxy, "Basic")!;
        Assert.That((credential.UserName, credential.Password), Is.EqualTo(("us@er", "pass:word")));
        Assert.That(proxies.Credentials.GetCredential(new Uri("http://other.example"), "Basic"), Is.Null);
    }

    [TestCase("https_proxy", "ftp://user:secret@a:1")]
    [TestCase("HTTP_PROXY", "http://user:secret@:x")]
    public void Says_which_variable_is_not_a_proxy_and_not_what_is_in_it(string name, string value)
    {
        var message = Assert.Throws<UsageException>(() =>
            RegistryProxies.Of(new Dictionary<string, string> { [name] = value }))!.Message;
        Assert.That(message, Does.Contain(name).And.Not.Contain("secret"));
    }

    [Test]
    public async Task Is_what_the_client_reaches_a_registry_by()
    {
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        var environment = new Dictionary<string, string> { ["HTTPS_PROXY"] = proxy.LocalEndpoint.ToString()! };
        using var client = RegistryClient.Open(new RegistryCredentials(null, [], environment));
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var asking = client.FindDigestAsync(ImageReference.Parse("registry.example:5000/a"), ending.Token);
        using (var caller = await proxy.AcceptTcpClientAsync(ending.Token))
        using (var reader = new StreamReader(caller.GetStream()))
            Assert.That(await reader.ReadLineAsync(ending.Token), Is.EqualTo("CONNECT registry.example:5000 HTTP/1.1"));
        await ending.CancelAsync();
        Assert.That(async () => await asking, Throws.InstanceOf<OperationCanceledException>());
    }
}
