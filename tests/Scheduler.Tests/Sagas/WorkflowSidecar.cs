using System.Diagnostics;
using System.Net.Sockets;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The embedded sidecar as a process of its own, for the scheduler's workflows; its state is in a database of its own.</summary>
internal sealed class WorkflowSidecar : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("rt-saga-").FullName;
    private readonly TestDatabase state = new();
    private readonly GrpcChannel channel;
    private Process? process;

    private WorkflowSidecar() => channel = GrpcChannel.ForAddress(Address);

    public int Port { get; } = TestPorts.Free();

    public string Address => $"http://127.0.0.1:{Port}";

    public TaskHubSidecarService.TaskHubSidecarServiceClient TaskHub => new(channel);

    public static async Task<WorkflowSidecar> StartAsync()
    {
        var sidecar = new WorkflowSidecar();
        await sidecar.state.InitializeAsync();
        Directory.CreateDirectory(Path.Combine(sidecar.folder, "resources"));
        Directory.CreateDirectory(Path.Combine(sidecar.folder, "scheduler"));
        await File.WriteAllTextAsync(
            Path.Combine(sidecar.folder, "resources", "state.yaml"),
            $$"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: state
            spec:
              type: state.postgresql
              version: v2
              metadata:
              - {name: connectionString, value: "{{sidecar.state.AdminConnectionString}}"}
              - {name: actorStateStore, value: "true"}
            """);
        await File.WriteAllTextAsync(
            Path.Combine(sidecar.folder, "dapr.yaml"),
            $"""
            version: 1
            common:
              resourcesPath: ./resources
            apps:
              - appID: scheduler
                appDirPath: ./scheduler
                daprHTTPPort: {TestPorts.Free()}
                daprGRPCPort: {sidecar.Port}
            """);
        await sidecar.BeginAsync();
        return sidecar;
    }

    public async Task BeginAsync()
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[] { Path.Combine(SchemaTests.Repository(), "edge/Sidecar/bin/Release/net10.0/RenderTrust.Sidecar.dll"), "run", "-f", "dapr.yaml", "--log-level", "warning" })
        {
            start.ArgumentList.Add(argument);
        }

        process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) => Console.WriteLine(line.Data);
        process.ErrorDataReceived += (_, line) => Console.WriteLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await SchedulerWorld.UntilAsync("the sidecar to listen", ListensAsync, listens => listens, seconds: 60);
    }

    /// <summary>As a crash does.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync();
    }

    public async Task<GetInstanceHistoryResponse> HistoryAsync(string instanceId) =>
        await TaskHub.GetInstanceHistoryAsync(new GetInstanceHistoryRequest { InstanceId = instanceId });

    public async ValueTask DisposeAsync()
    {
        channel.Dispose();
        if (process is { HasExited: false })
        {
            await KillAsync();
        }

        process?.Dispose();
        await state.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task<bool> ListensAsync()
    {
        Assert.False(process!.HasExited, "the sidecar has ended");
        try
        {
            using var probe = new TcpClient();
            await probe.ConnectAsync("127.0.0.1", Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
