using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Docker.DotNet;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Running;

/// <summary>
/// A container engine's API: the machine's own where one answers, else a private dockerd of this node.
/// A private engine outlives a killed agent and is taken over by the next one.
/// </summary>
internal sealed class DockerEngine : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

    private readonly int? _privateProcessId;
    private readonly string? _privateRunFolder;

    private DockerEngine(DockerClient client, string description, EngineFacts facts, int? privateProcessId, string? privateRunFolder)
    {
        Client = client;
        Description = description;
        Facts = facts;
        _privateProcessId = privateProcessId;
        _privateRunFolder = privateRunFolder;
    }

    public DockerClient Client { get; }

    public string Description { get; }

    public EngineFacts Facts { get; }

    /// <param name="dockerHost">The value of DOCKER_HOST, if set.</param>
    public static async Task<(DockerEngine? Engine, string? WhyNot)> FindAsync(
        string node, string stateFolder, string? dockerHost, TimeProvider time, CancellationToken cancellationToken)
    {
        var reasons = new List<string>();
        foreach (var address in dockerHost is { Length: > 0 } ? [dockerHost] : (string[])["unix:///var/run/docker.sock"])
        {
            if (await TryConnectAsync(address, cancellationToken) is { } client)
            {
                return (await DescribeAsync(client, $"the machine's engine at {address}", null, null, cancellationToken), null);
            }

            reasons.Add($"no engine answers at {address}");
        }

        var whyNotPrivate = !Native.IsRoot ? "a private dockerd needs root"
            : Tools.Find("dockerd") is null ? "dockerd is not installed (apt-get install docker.io)"
            : null;
        if (whyNotPrivate is not null)
        {
            return (null, string.Join("; ", [.. reasons, whyNotPrivate]));
        }

        try
        {
            return (await StartPrivateAsync(node, stateFolder, time, cancellationToken), null);
        }
        catch (InvalidOperationException exception)
        {
            return (null, string.Join("; ", [.. reasons, exception.Message]));
        }
    }

    /// <summary>Starts or takes over the private dockerd of one node.</summary>
    public static async Task<DockerEngine> StartPrivateAsync(string node, string stateFolder, TimeProvider time, CancellationToken cancellationToken)
    {
        // A socket's path may be 108 bytes long, and containerd adds its own below: hence a short folder, named by node and state folder.
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(node + "\n" + Path.GetFullPath(stateFolder))))[..12];
        var run = $"/run/rendertrust-{name}";
        var address = $"unix://{run}/docker.sock";
        var pidFile = $"{run}/dockerd.pid";
        if (await TryConnectAsync(address, cancellationToken) is { } running)
        {
            return await DescribeAsync(running, $"private dockerd at {address}, taken over", ReadPid(pidFile), run, cancellationToken);
        }

        Directory.CreateDirectory(run, Modes.Private);
        var engineFolder = Directory.CreateDirectory(Path.Combine(stateFolder, "engine"), Modes.Private).FullName;
        var logFile = Path.Combine(engineFolder, "dockerd.log");
        File.Delete(pidFile);

        // setsid: an interrupt at the agent's terminal must reach the agent first, which then stops containers and engine in order.
        var start = new ProcessStartInfo("setsid", [
            "/bin/sh", "-c", "log=$1; shift; exec dockerd \"$@\" < /dev/null >> \"$log\" 2>&1", "engine", logFile,
            "--data-root", Path.Combine(engineFolder, "data"), "--exec-root", $"{run}/exec", "-p", pidFile, "-H", address,
            "--iptables=false", "--ip6tables=false", "--bridge=none",
        ]);
        using var process = Process.Start(start) ?? throw new InvalidOperationException("dockerd did not start.");
        var started = time.GetTimestamp();
        while (time.GetElapsedTime(started) < StartLimit)
        {
            if (await TryConnectAsync(address, cancellationToken) is { } client)
            {
                return await DescribeAsync(client, $"private dockerd at {address}", ReadPid(pidFile), run, cancellationToken);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken);
        }

        if (ReadPid(pidFile) is { } stuck)
        {
            Native.Kill(stuck);
        }

        throw new InvalidOperationException($"private dockerd did not answer within {StartLimit.TotalSeconds} s; its log is {logFile}");
    }

    /// <summary>Stops the engine if it is ours; the machine's own is left alone.</summary>
    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (_privateProcessId is not { } processId || !Native.Terminate(processId))
        {
            return;
        }

        // dockerd waits for its containers and containerd; after that bound it is killed rather than left behind.
        for (var i = 0; i < 200 && Directory.Exists($"/proc/{processId}"); i++)
        {
            await Task.Delay(50);
        }

        Native.Kill(processId);
        try
        {
            Directory.Delete(_privateRunFolder!, recursive: true);
        }
        catch (IOException)
        {
            // A mount of a container that did not unmount; the next start of this node uses the same folder.
        }
    }

    private static async Task<DockerClient?> TryConnectAsync(string address, CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || (uri.Scheme == "unix" && !File.Exists(uri.LocalPath)))
        {
            return null;
        }

        using var configuration = new DockerClientConfiguration(uri);
        var client = configuration.CreateClient();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(3));
        try
        {
            await client.System.PingAsync(limit.Token);
            return client;
        }
        catch (Exception exception) when (exception is HttpRequestException or DockerApiException or IOException or TimeoutException
            or System.Net.Sockets.SocketException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            client.Dispose();
            return null;
        }
    }

    private static async Task<DockerEngine> DescribeAsync(DockerClient client, string where, int? privateProcessId, string? privateRunFolder, CancellationToken cancellationToken)
    {
        var info = await client.System.GetSystemInfoAsync(cancellationToken);
        var version = await client.System.GetVersionAsync(cancellationToken);
        var podman = version.Components?.Any(component => component.Name.Contains("Podman", StringComparison.OrdinalIgnoreCase)) == true;
        var rootless = info.SecurityOptions?.Any(option => option.Contains("rootless", StringComparison.Ordinal)) == true;
        var remapped = info.SecurityOptions?.Any(option => option.Contains("userns", StringComparison.Ordinal)) == true;
        var seccomp = info.SecurityOptions?.Any(option => option.Contains("seccomp", StringComparison.Ordinal)) == true;

        // A rootless engine on control groups v1 echoes limits that nobody holds.
        var limits = info.MemoryLimit && info.PidsLimit && info.CPUCfsQuota && !(rootless && !Cgroup.IsUnified);
        var facts = new EngineFacts(podman, rootless, remapped, seccomp, limits);
        return new DockerEngine(client, $"{(podman ? "podman" : "docker")} {version.Version}, {where}, {(rootless ? "rootless" : remapped ? "user namespaces" : "rootful")}", facts, privateProcessId, privateRunFolder);
    }

    private static int? ReadPid(string file) =>
        File.Exists(file) && int.TryParse(File.ReadAllText(file), out var processId) ? processId : null;
}

internal sealed record EngineFacts(bool Podman, bool Rootless, bool UserNamespaces, bool Seccomp, bool LimitsEnforced);
