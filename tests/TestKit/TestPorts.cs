using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace RenderTrust.TestKit;

/// <summary>Free ports for servers that tests start.</summary>
public static class TestPorts
{
    private static readonly ConcurrentDictionary<int, bool> Given = new();

    /// <summary>
    /// A port that is free now and was never given before in this process. Below the kernel's own range (32768 up), where an outgoing
    /// connection of another test could take it before its server does.
    /// </summary>
    public static int Free()
    {
        while (true)
        {
            var port = Random.Shared.Next(12_000, 32_000);
            if (Given.TryAdd(port, true) && IsFree(port))
            {
                return port;
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
