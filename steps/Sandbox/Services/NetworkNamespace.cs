using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace CiSteps.Sandbox.Services;

/// <summary>
/// Another network namespace of this machine, entered only to make sockets: a socket belongs to the namespace that it was made
/// in, whoever uses it afterwards.
/// Linux only, and only for root.
/// </summary>
/// <param name="processId">A process inside it; 0 for this process's own namespace.</param>
internal sealed class NetworkNamespace(int processId)
{
    private const int NetNamespace = 0x40000000;

    /// <summary>A listening socket inside the namespace.</summary>
    public Task<Socket> ListenAsync(IPEndPoint address) => InsideAsync(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // No ReuseAddress: here it would let another process listen on the same port, and binding alone takes what only
            // lingers.
            socket.Bind(address);
            socket.Listen(512);
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            throw;
        }
    });

    /// <summary>
    /// A connection to a port of the namespace's own loopback. Throws <see cref="SocketException"/> when nobody listens there.
    /// </summary>
    public async Task<Socket> ConnectAsync(int port, CancellationToken ct)
    {
        var socket = await InsideAsync(
            () => new Socket(
                AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            { NoDelay = true }).ConfigureAwait(false);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port, ct).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A datagram socket inside the namespace.</summary>
    public Task<Socket> BindDatagramAsync(IPEndPoint address) => InsideAsync(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(address);
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            throw;
        }
    });

    /// <summary>
    /// Makes the namespace the owner of all addresses of a range: it answers for each of them and can listen on each.
    /// </summary>
    public Task OwnAsync(IPAddress range, int prefixLength) => InsideAsync(() =>
    {
        AddLocalRoute(range, prefixLength);
        return true;
    });

    private Task<T> InsideAsync<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (processId == 0)
            return Task.FromResult(work());
        // A thread of its own: it never comes back to this process's namespace but ends.
        var thread = new Thread(() =>
        {
            try
            {
                using (var handle = File.OpenHandle($"/proc/{processId}/ns/net"))
                {
                    if (setns((int)handle.DangerousGetHandle(), NetNamespace) != 0)
                        throw new IOException(
                            $"cannot enter the network namespace of process {processId}: " +
                            $"{Marshal.GetLastPInvokeErrorMessage()}; the sandbox has to run as root beside its engine");
                }

                done.SetResult(work());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true, Name = "network namespace" };
        thread.Start();
        return done.Task;
    }

    // The one netlink message that "ip route add local RANGE dev lo" sends.
    private static void AddLocalRoute(IPAddress range, int prefixLength)
    {
        Span<byte> message = stackalloc byte[44];
        message.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteInt16LittleEndian(message[4..], 24); // new route
        BinaryPrimitives.WriteInt16LittleEndian(message[6..], 0x505); // request, acknowledge, replace, create
        BinaryPrimitives.WriteInt32LittleEndian(message[8..], 1);
        message[16] = 2; // IPv4
        message[17] = (byte)prefixLength;
        message[20] = 255; // the local table
        message[21] = 3; // made by hand
        message[22] = 254; // scope: this host
        message[23] = 2; // type: local
        message[28] = 8;
        message[30] = 1; // destination
        range.TryWriteBytes(message[32..], out _);
        message[36] = 8;
        message[38] = 4; // outgoing interface
        message[40] = 1; // lo
        var socket = socket_(16, 3, 0);
        if (socket < 0)
            throw new IOException($"cannot open a netlink socket: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            var answer = new byte[256];
            if (send(socket, message.ToArray(), message.Length, 0) < 0 || recv(socket, answer, answer.Length, 0) < 20)
                throw new IOException($"cannot give the service addresses to the router: {Marshal.GetLastPInvokeErrorMessage()}");
            var error = BinaryPrimitives.ReadInt32LittleEndian(answer.AsSpan(16));
            if (error != 0)
                throw new IOException(
                    $"cannot give the service addresses to the router: {Marshal.GetPInvokeErrorMessage(-error)}");
        }
        finally
        {
            _ = close(socket);
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setns(int handle, int kind);

    [DllImport("libc", EntryPoint = "socket", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int socket_(int domain, int type, int protocol);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint send(int socket, byte[] data, nint length, int flags);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint recv(int socket, byte[] data, nint length, int flags);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int close(int handle);
}
