using System.Net;

namespace CiSteps.Images;

/// <summary>The machine's proxy for everything but the machine itself: a proxy knows another "localhost". Engines and docker's client do the same.</summary>
internal sealed class ProxyElsewhere(IWebProxy machines) : IWebProxy
{
    public ICredentials? Credentials
    {
        get => machines.Credentials;
        set => machines.Credentials = value;
    }

    public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : machines.GetProxy(destination);

    public bool IsBypassed(Uri host) => host.IsLoopback || machines.IsBypassed(host);
}
