using System.Net;

namespace CiSteps.Images.Tests;

public sealed class ProxyElsewhereTests
{
    private readonly ProxyElsewhere proxy = new(new WebProxy("http://proxy.example:3128") { BypassArrayList = { "near\\.example" } });

    [TestCase("http://localhost:5000/v2/")]
    [TestCase("http://127.0.0.1:5000/v2/")]
    [TestCase("http://[::1]:5000/v2/")]
    [TestCase("https://near.example/v2/")]
    public void Goes_straight_to_this_machine_and_to_what_the_machine_excepts(string address)
    {
        Assert.That(proxy.IsBypassed(new Uri(address)));
        Assert.That(proxy.GetProxy(new Uri(address)), Is.Null);
    }

    [Test]
    public void Takes_the_machines_proxy_elsewhere() =>
        Assert.That(proxy.GetProxy(new Uri("https://registry.example/v2/")), Is.EqualTo(new Uri("http://proxy.example:3128")));
}
