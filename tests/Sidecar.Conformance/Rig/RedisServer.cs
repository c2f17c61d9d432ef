using System.Diagnostics;
using System.Net.Sockets;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Conformance.Rig;

/// <summary>A real Redis on a free port, for as long as the suite runs.</summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("rt-conformance-redis-").FullName;
    private readonly Process process;

    private RedisServer(int port)
    {
        Address = $"127.0.0.1:{port}";
        process = Process.Start(new ProcessStartInfo("redis-server", ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--logfile", "redis.log"]))!;
    }

    public string Address { get; }

    public static async Task<RedisServer> StartAsync()
    {
        var port = TestPorts.Free();
        var server = new RedisServer(port);
        await Wait.UntilAsync("Redis listens", async () =>
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync("127.0.0.1", port);
            return true;
        });
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
