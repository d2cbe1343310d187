using System.Net;
using System.Net.Sockets;
using System.Text;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Tests.Pods;

/// <summary>Ways to a pod: service addresses, node ports, names, forwarded ports.</summary>
[Category("NeedsDocker")]
public sealed class ServicesOnTheEngine
{
    private readonly RunningCluster cluster = SharedCluster.Cluster;

    [Test]
    public async Task A_node_port_is_reached_from_this_machine()
    {
        Serve("nodeport", "np");
        cluster.Create(
            Kinds.Services,
            """
            {"metadata":{"name":"np"},"spec":{"type":"NodePort","selector":{"app":"np"},"ports":[{"port":80,"nodePort":PORT}]}}
            """.Replace(
                "PORT", FreePort().ToString()));
        await cluster.UntilReadyAsync("nodeport");
        var port = cluster.Api.Get(Kinds.Services, "default", "np")!.Objs("spec", "ports").Single().Int(0, "nodePort");
        using var http = new HttpClient();
        await UntilServedAsync("np");
        Assert.That(await http.GetStringAsync($"http://127.0.0.1:{port}/"), Is.EqualTo("nodeport\n"));
        var node = cluster.Api.List(Kinds.Nodes).Items[0]
            .Objs("status", "addresses")
            .First(a => a.Str("type") == "InternalIP")
            .Str("address");
        Assert.That(await http.GetStringAsync($"http://{node}:{port}/"), Is.EqualTo("nodeport\n"));
    }

    [Test]
    public async Task A_node_port_that_another_process_has_is_told_and_taken_when_it_is_free()
    {
        // As another sandbox's would be, in the mode that shares a port with everybody who also asks for it.
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        var port = FreePort();
        other.Bind(new IPEndPoint(IPAddress.Loopback, port));
        other.Listen();
        Serve("taken", "tk");
        await cluster.UntilReadyAsync("taken");
        cluster.Create(
            Kinds.Services,
            """
            {"metadata":{"name":"tk"},"spec":{"type":"NodePort","selector":{"app":"tk"},"ports":[{"port":80,"nodePort":PORT}]}}
            """.Replace("PORT", port.ToString()));
        await UntilServedAsync("tk");
        await cluster.UntilEventAsync(
            e => e.Str("reason") == "FailedToListen"
                && e.Str("involvedObject", "name") == "tk"
                && e.Str("message")!.StartsWith($"cannot listen on 127.0.0.1:{port}: ", StringComparison.Ordinal));

        other.Dispose();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var http = new HttpClient();
        string? answer = null;
        while (answer is null)
        {
            try
            {
                answer = await http.GetStringAsync($"http://127.0.0.1:{port}/", limit.Token);
            }
            catch (HttpRequestException) when (!limit.IsCancellationRequested)
            {
                // Not yet.
            }
        }

        Assert.That(answer, Is.EqualTo("taken\n"));
    }

    [Test]
    public async Task Connections_are_spread_over_ready_pods_only_and_open_ones_live_on()
    {
        Serve("spread-1", "spread");
        Serve("spread-2", "spread");
        var service = cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"spread"},"spec":{"selector":{"app":"spread"},"ports":[{"port":80}]}}""");
        await cluster.UntilReadyAsync("spread-1");
        await cluster.UntilReadyAsync("spread-2");
        await cluster.UntilAsync(
            Kinds.Endpoints, "spread", e => e.Objs("subsets").SelectMany(s => s.Objs("addresses")).Count() == 2);
        var address = IPAddress.Parse(service.Str("spec", "clusterIP")!);
        var seen = new HashSet<string>();
        while (seen.Count < 2)
            seen.Add(await GetAsync(address, 80));

        // A connection that is open when its pod stops being ready stays with it.
        using var open = new TcpClient();
        await open.ConnectAsync(address, 80);
        await open.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: x\r\n"u8.ToArray());
        foreach (var pod in new[] { "spread-1", "spread-2" })
            await cluster.ExecAsync(pod, "rm", "/tmp/ready");
        await cluster.UntilAsync(
            Kinds.Endpoints, "spread", e => e.Objs("subsets").SelectMany(s => s.Objs("notReadyAddresses")).Count() == 2);
        await open.GetStream().WriteAsync("\r\n"u8.ToArray());
        using var reader = new StreamReader(open.GetStream());
        Assert.That(await reader.ReadLineAsync(), Does.Contain("200"));
        Assert.That(
            async () => await GetAsync(address, 80),
            Throws.InstanceOf<IOException>().Or.InstanceOf<SocketException>(),
            "nobody is ready");
    }

    [Test]
    public async Task An_external_name_and_a_reverse_name_are_answered()
    {
        cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"outside"},"spec":{"type":"ExternalName","externalName":"example.org","clusterIP":""}}""");
        var service = cluster.Create(
            Kinds.Services,
            """{"metadata":{"name":"known"},"spec":{"selector":{"app":"nobody"},"ports":[{"port":80}]}}""");
        cluster.Create(Kinds.Pods, """{"metadata":{"name":"asker"},"spec":SLEEPER}""");
        await cluster.UntilReadyAsync("asker");
        Assert.That(
            (await cluster.ExecAsync("asker", "nslookup", "-type=cname", "outside.default.svc.cluster.local")).Output,
            Does.Contain("example.org"));
        Assert.That(
            (await cluster.ExecAsync("asker", "nslookup", service.Str("spec", "clusterIP")!)).Output,
            Does.Contain("known.default.svc.cluster.local"));
    }

    [Test]
    public async Task A_forwarded_port_reaches_what_listens_on_the_pods_loopback()
    {
        cluster.Create(
            Kinds.Pods,
            """
            {"metadata":{"name":"inner"},"spec":{"terminationGracePeriodSeconds":0,
             "containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
             "command":["sh","-c","mkdir /tmp/w; echo inside > /tmp/w/index.html; exec httpd -f -p 127.0.0.1:8080 -h /tmp/w"],
             "readinessProbe":{"exec":{"command":["wget","-q","-O","/dev/null","http://127.0.0.1:8080/"]},"periodSeconds":1}}]}}
            """);
        await cluster.UntilReadyAsync("inner");
        await using var stream = await cluster.Api.Pods!.ConnectAsync("default", "inner", 8080, CancellationToken.None);
        await stream.WriteAsync("GET / HTTP/1.0\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.That(await reader.ReadToEndAsync(), Does.EndWith("inside\n"));
        Assert.That(
            async () => await cluster.Api.Pods!.ConnectAsync("default", "inner", 81, CancellationToken.None),
            Throws.TypeOf<ApiException>());
    }

    private void Serve(string pod, string app) => cluster.Create(Kinds.Pods, """
        {"metadata":{"name":"POD","labels":{"app":"APP"}},
        "spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"app","image":"IMAGE","imagePullPolicy":"IfNotPresent",
        "command":["sh","-c","mkdir /tmp/w; touch /tmp/ready; hostname > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"],
        "readinessProbe":{"exec":{"command":["cat","/tmp/ready"]},"periodSeconds":1,"failureThreshold":1}}]}}
        """.Replace("POD", pod).Replace("APP", app));

    private Task UntilServedAsync(string service) =>
        cluster.UntilAsync(Kinds.Endpoints, service, e => e.Objs("subsets").Any(s => s.Objs("addresses").Any()));

    private static async Task<string> GetAsync(IPAddress address, int port)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address, port);
        await client.GetStream().WriteAsync("GET / HTTP/1.0\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(client.GetStream());
        var text = await reader.ReadToEndAsync();
        return text.Length == 0
            ? throw new IOException("closed without an answer")
            : text[(text.LastIndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
    }

    // A node port that nobody on this machine has now.
    private static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(30000, 32768);
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken; the next one.
            }
        }
    }
}
