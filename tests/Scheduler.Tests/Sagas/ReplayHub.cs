using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Scheduler.Tests;

/// <summary>The sidecar's end of the workflow wire: gives a real worker turns to run and takes its answers, and does nothing that they ask for.</summary>
internal sealed class ReplayHub : TaskHubSidecarService.TaskHubSidecarServiceBase, IAsyncDisposable
{
    private readonly Channel<WorkItem> items = Channel.CreateUnbounded<WorkItem>();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<WorkflowResponse>> answers = new();
    private WebApplication? server;
    private IHost? worker;

    /// <param name="register">The worker's workflows.</param>
    public static async Task<ReplayHub> StartAsync(Action<IServiceCollection> register)
    {
        var hub = new ReplayHub();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(hub);
        hub.server = builder.Build();
        hub.server.MapGrpcService<ReplayHub>();
        await hub.server.StartAsync();

        var host = Host.CreateEmptyApplicationBuilder(null);
        host.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DAPR_GRPC_ENDPOINT"] = hub.server.Urls.First() });
        host.Services.AddLogging();
        register(host.Services);
        hub.worker = host.Build();
        await hub.worker.StartAsync();
        return hub;
    }

    /// <summary>One turn of an instance; its id names the turn, so that turns may be asked for side by side.</summary>
    public async Task<WorkflowResponse> TurnAsync(IEnumerable<HistoryEvent> past, IEnumerable<HistoryEvent> fresh)
    {
        var id = Guid.CreateVersion7().ToString();
        var answer = answers[id] = new TaskCompletionSource<WorkflowResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        var request = new WorkflowRequest { InstanceId = id };
        request.PastEvents.AddRange(past);
        request.NewEvents.AddRange(fresh);
        await items.Writer.WriteAsync(new WorkItem { WorkflowRequest = request });
        return await answer.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        items.Writer.TryComplete();
        if (worker is not null)
        {
            await worker.StopAsync();
            worker.Dispose();
        }

        if (server is not null)
        {
            await server.DisposeAsync();
        }
    }

    public override Task<Empty> Hello(Empty request, ServerCallContext context) => Task.FromResult(new Empty());

    public override async Task GetWorkItems(GetWorkItemsRequest request, IServerStreamWriter<WorkItem> responseStream, ServerCallContext context)
    {
        await foreach (var item in items.Reader.ReadAllAsync(context.CancellationToken))
        {
            await responseStream.WriteAsync(item);
        }
    }

    public override Task<CompleteTaskResponse> CompleteWorkflowTask(WorkflowResponse request, ServerCallContext context) => Take(request);

    // The older name of the same.
    public override Task<CompleteTaskResponse> CompleteOrchestratorTask(WorkflowResponse request, ServerCallContext context) => Take(request);

    private Task<CompleteTaskResponse> Take(WorkflowResponse response)
    {
        answers[response.InstanceId].TrySetResult(response);
        return Task.FromResult(new CompleteTaskResponse());
    }
}
