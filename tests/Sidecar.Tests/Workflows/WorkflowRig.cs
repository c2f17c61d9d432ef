using Grpc.Core;
using Grpc.Net.Client;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>A sidecar host with two apps on one Postgres, and raw gRPC into both.</summary>
internal sealed class WorkflowRig : IAsyncDisposable
{
    private readonly List<GrpcChannel> channels = [];

    public SidecarRig Sidecar { get; init; } = new();
    public RigApp One { get; private set; } = null!;
    public RigApp Two { get; private set; } = null!;
    public Hub Hub { get; private set; } = null!;

    public static async Task<WorkflowRig> StartAsync(TestDatabase database, string? apiToken = null, string extra = "")
    {
        var rig = new WorkflowRig { Sidecar = new SidecarRig { DaprApiToken = apiToken } };
        rig.Prepare(database, extra);
        await rig.Sidecar.StartAsync();
        return rig;
    }

    public void Prepare(TestDatabase database, string extra = "")
    {
        var npgsql = new Npgsql.NpgsqlConnectionStringBuilder(database.AdminConnectionString);
        Sidecar.Component("state", "state.postgresql", "v2",
            $"{SidecarRig.Setting("connectionString", $"host={npgsql.Host} port={npgsql.Port} user={npgsql.Username} database={npgsql.Database}")}, {SidecarRig.Setting("actorStateStore", "true")}");
        // Ids of their own: what another test left unfinished in the database belongs to its apps.
        var run = Guid.CreateVersion7().ToString("N")[^8..];
        One = Sidecar.AddApp($"one-{run}", extra: extra, withPort: false);
        Two = Sidecar.AddApp($"two-{run}", withPort: false);
        Hub = Connect(One);
    }

    /// <summary>Stops the host in order and starts another one on the same database and ports.</summary>
    public async Task RestartAsync()
    {
        await Sidecar.StopAsync();
        await Sidecar.StartAsync();
    }

    public Hub Connect(RigApp app)
    {
        var channel = GrpcChannel.ForAddress(app.Grpc);
        channels.Add(channel);
        return new Hub(channel);
    }

    public Task<TestWorker> WorkerAsync(RigApp? app = null) => TestWorker.ConnectAsync(Connect(app ?? One));

    /// <summary>Starts without waiting for the first turn, which the test itself will answer.</summary>
    public Task<CreateInstanceResponse> Start(string id, string name = "wf", string? input = null, Action<CreateInstanceRequest>? change = null)
    {
        var request = new CreateInstanceRequest { InstanceId = id, Name = name, Input = input };
        change?.Invoke(request);
        return Hub.StartInstanceAsync(request, deadline: Deadline, cancellationToken: Token).ResponseAsync;
    }

    public async Task<WorkflowState> CompletedAsync(string id) =>
        (await Hub.WaitForInstanceCompletionAsync(new GetInstanceRequest { InstanceId = id, GetInputsAndOutputs = true }, deadline: Deadline, cancellationToken: Token)).WorkflowState;

    public async Task<WorkflowState> StateAsync(string id) =>
        (await Hub.GetInstanceAsync(new GetInstanceRequest { InstanceId = id, GetInputsAndOutputs = true }, cancellationToken: Token)).WorkflowState;

    public async Task<IReadOnlyList<HistoryEvent>> HistoryAsync(string id) =>
        (await Hub.GetInstanceHistoryAsync(new GetInstanceHistoryRequest { InstanceId = id }, cancellationToken: Token)).Events;

    public async Task RaiseAsync(string id, string name, string? payload = null) =>
        await Hub.RaiseEventAsync(new RaiseEventRequest { InstanceId = id, Name = name, Input = payload }, cancellationToken: Token);

    public async ValueTask DisposeAsync()
    {
        channels.ForEach(channel => channel.Dispose());
        await Sidecar.DisposeAsync();
    }

    public static async Task<Status> RefusedAsync<T>(AsyncUnaryCall<T> call) => (await Assert.ThrowsAsync<RpcException>(async () => await call)).Status;

    public static DateTime Deadline => DateTime.UtcNow.AddSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
