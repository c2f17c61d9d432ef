using System.Diagnostics;
using System.Net.Sockets;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests;

/// <summary>A real RabbitMQ node of its own on loopback, shared by the tests of this assembly and started by the first that needs it.</summary>
public sealed class RabbitMqServer : IAsyncDisposable
{
    private const string Programs = "/usr/lib/rabbitmq/bin";
    private readonly SemaphoreSlim turn = new(1);
    private readonly int port = TestPorts.Free();
    private readonly int epmdPort = TestPorts.Free();
    private readonly int distributionPort = TestPorts.Free();
    private string? directory;
    private Process? process;

    public string Address => $"amqp://guest:guest@127.0.0.1:{port}/";

    /// <summary>Where the tests' machine lacks it, tests skip and say so.</summary>
    public async Task<string> StartedAsync()
    {
        Assert.SkipUnless(File.Exists(Path.Combine(Programs, "rabbitmq-server")), "rabbitmq-server is not installed (apt-get install rabbitmq-server)");
        await turn.WaitAsync();
        try
        {
            if (process is null)
            {
                await StartAsync();
            }
        }
        finally
        {
            turn.Release();
        }

        return Address;
    }

    /// <summary>As a crash would: nobody is told, what is durable stays on disk.</summary>
    public async Task KillAsync()
    {
        process!.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
        process = null;
    }

    public async Task StartAsync()
    {
        directory ??= Directory.CreateTempSubdirectory("rt-rabbit-").FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "rabbitmq.conf"), $"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users.guest = true\nlog.console = false\n");
        await File.WriteAllTextAsync(Path.Combine(directory, "plugins"), "[].");
        var start = new ProcessStartInfo(Path.Combine(Programs, "rabbitmq-server")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in new Dictionary<string, string>
        {
            ["HOME"] = directory, ["RABBITMQ_BASE"] = directory, ["RABBITMQ_MNESIA_BASE"] = Path.Combine(directory, "mnesia"), ["RABBITMQ_LOG_BASE"] = Path.Combine(directory, "log"),
            ["RABBITMQ_NODENAME"] = $"rt{port}@localhost", ["RABBITMQ_NODE_IP_ADDRESS"] = "127.0.0.1", ["RABBITMQ_NODE_PORT"] = $"{port}",
            ["ERL_EPMD_PORT"] = $"{epmdPort}", ["ERL_EPMD_ADDRESS"] = "127.0.0.1", ["RABBITMQ_DIST_PORT"] = $"{distributionPort}",
            ["RABBITMQ_CONFIG_FILE"] = Path.Combine(directory, "rabbitmq.conf"), ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(directory, "plugins"),
            ["RABBITMQ_CONF_ENV_FILE"] = "/dev/null", ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1}",
        })
        {
            start.Environment[name] = value;
        }

        process = Process.Start(start)!;
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await Wait.UntilAsync("RabbitMQ listens", async () =>
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync("127.0.0.1", port);
            return true;
        });
    }

    public async ValueTask DisposeAsync()
    {
        turn.Dispose();
        if (process is not null)
        {
            await KillAsync();
        }

        if (directory is not null)
        {
            // The port mapper outlives its node.
            var mapper = new ProcessStartInfo("epmd", ["-port", $"{epmdPort}", "-kill"]) { RedirectStandardOutput = true, RedirectStandardError = true };
            using (var kill = Process.Start(mapper)!)
            {
                await kill.WaitForExitAsync();
            }

            Directory.Delete(directory, recursive: true);
        }
    }
}
