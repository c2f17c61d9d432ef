using System.Diagnostics;
using System.Net.Sockets;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>A real Redis on a free port, shared by the tests of this assembly. Where the binary is missing, tests skip and say so.</summary>
public sealed class RedisServer : IAsyncLifetime
{
    private Process? process;
    private string? directory;
    private string? binary;

    public int Port { get; private set; }

    /// <summary>Answers a write once it is on the disk.</summary>
    public bool IsDurable { get; init; }

    public string Host
    {
        get
        {
            Assert.SkipWhen(process is null, "redis-server is not installed (apt-get install redis-server)");
            return $"127.0.0.1:{Port}";
        }
    }

    public async ValueTask InitializeAsync()
    {
        var binary = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(path => Path.Combine(path, "redis-server")).FirstOrDefault(File.Exists);
        if (binary is null)
        {
            return;
        }

        this.binary = binary;
        Port = TestPorts.Free();
        directory = Directory.CreateTempSubdirectory("rt-redis-").FullName;
        await StartAsync();
    }

    /// <summary>Keeps nothing: streams and groups are gone afterwards.</summary>
    public async Task StopAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    public async Task StartAsync()
    {
        process = Process.Start(new ProcessStartInfo(binary!, ["--port", $"{Port}", "--bind", "127.0.0.1", "--save", "", "--dir", directory!, "--logfile", "redis.log",
            .. IsDurable ? (string[])["--appendonly", "yes", "--appendfsync", "always"] : []]))!;
        await Wait.UntilAsync("Redis listens", async () =>
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync("127.0.0.1", Port);
            return true;
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            await StopAsync();
        }

        if (directory is not null)
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
