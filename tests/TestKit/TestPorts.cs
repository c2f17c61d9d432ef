using System.Net;
using System.Net.Sockets;

namespace RenderTrust.TestKit;

/// <summary>Free ports for servers that tests start.</summary>
public static class TestPorts
{
    private static readonly Lock Gate = new();

    // Held until the process ends.
    private static readonly List<PortSlice> Slices = [];
    private static readonly Queue<int> Left = [];

    /// <summary>A port that is free now, was never given before in this process, and is given in no other.</summary>
    public static int Free()
    {
        lock (Gate)
        {
            while (true)
            {
                if (!Left.TryDequeue(out var port))
                {
                    Slices.Add(PortSlice.Claim());
                    Slices[^1].Ports.ToList().ForEach(Left.Enqueue);
                }
                else if (IsFree(port))
                {
                    return port;
                }
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
