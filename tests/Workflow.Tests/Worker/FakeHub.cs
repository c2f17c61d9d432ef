using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.TaskHubProtocol;
using RenderTrust.TestKit;

namespace RenderTrust.Workflow.Tests.Worker;

/// <summary>A sidecar's workflow service that hands out what a test gives it and remembers what comes back.</summary>
internal sealed class FakeHub : IAsyncDisposable
{
    private readonly WebApplication web;
    private readonly Service service = new();

    private FakeHub(WebApplication web, int port) => (this.web, Port) = (web, port);

    public int Port { get; }

    /// <summary>Streams opened so far.</summary>
    public int Streams => service.Streams;

    /// <summary>Greetings so far, those that open a connection included.</summary>
    public int Greetings => service.Greetings;

    public ConcurrentQueue<WorkflowResponse> Turns => service.Turns;

    public ConcurrentQueue<ActivityResponse> Activities => service.Activities;

    public ConcurrentQueue<CreateInstanceRequest> Starts => service.Starts;

    /// <summary>Method and token of each call.</summary>
    public ConcurrentQueue<(string Method, string? Token)> Calls => service.Calls;

    /// <summary>What the next calls of each kind do instead of answering well.</summary>
    public ConcurrentQueue<StatusCode> GreetingFailures => service.GreetingFailures;

    public ConcurrentQueue<StatusCode> AnswerFailures => service.AnswerFailures;

    public ConcurrentQueue<Func<GetInstanceResponse>> Waits => service.Waits;

    public GetInstanceHistoryResponse History => service.History;

    public static async Task<FakeHub> StartAsync()
    {
        var port = TestPorts.Free();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        var hub = default(FakeHub);
        builder.Services.AddSingleton(_ => hub!.service);
        var web = builder.Build();
        hub = new FakeHub(web, port);
        web.MapGrpcService<Service>();
        await web.StartAsync();
        return hub;
    }

    public void Give(WorkItem item) => service.Current.Writer.TryWrite(item);

    /// <summary>Ends the stream that is open, as a sidecar that goes down does.</summary>
    public void EndStream() => service.Current.Writer.TryComplete();

    public async ValueTask DisposeAsync()
    {
        EndStream();
        await web.StopAsync();
        await web.DisposeAsync();
    }

    private sealed class Service : TaskHubSidecarService.TaskHubSidecarServiceBase
    {
        private int streams;
        private int greetings;

        public Channel<WorkItem> Current { get; private set; } = Channel.CreateUnbounded<WorkItem>();

        public int Streams => Volatile.Read(ref streams);

        public int Greetings => Volatile.Read(ref greetings);

        public ConcurrentQueue<WorkflowResponse> Turns { get; } = [];

        public ConcurrentQueue<ActivityResponse> Activities { get; } = [];

        public ConcurrentQueue<CreateInstanceRequest> Starts { get; } = [];

        public ConcurrentQueue<(string Method, string? Token)> Calls { get; } = [];

        public ConcurrentQueue<StatusCode> GreetingFailures { get; } = [];

        public ConcurrentQueue<StatusCode> AnswerFailures { get; } = [];

        public ConcurrentQueue<Func<GetInstanceResponse>> Waits { get; } = [];

        public GetInstanceHistoryResponse History { get; } = new();

        public override Task<Empty> Hello(Empty request, ServerCallContext context)
        {
            Interlocked.Increment(ref greetings);
            return Answer(context, GreetingFailures, new Empty());
        }

        public override async Task GetWorkItems(GetWorkItemsRequest request, IServerStreamWriter<WorkItem> responseStream, ServerCallContext context)
        {
            var items = Current = Channel.CreateUnbounded<WorkItem>();
            await Answer(context, [], new Empty());
            Interlocked.Increment(ref streams);
            await foreach (var item in items.Reader.ReadAllAsync(context.CancellationToken))
            {
                await responseStream.WriteAsync(item, context.CancellationToken);
            }
        }

        public override Task<CompleteTaskResponse> CompleteOrchestratorTask(WorkflowResponse request, ServerCallContext context) =>
            Remember(Turns, request, context);

        public override Task<CompleteTaskResponse> CompleteActivityTask(ActivityResponse request, ServerCallContext context) =>
            Remember(Activities, request, context);

        public override Task<CreateInstanceResponse> StartInstance(CreateInstanceRequest request, ServerCallContext context)
        {
            Starts.Enqueue(request);
            return Answer(context, [], new CreateInstanceResponse { InstanceId = request.InstanceId });
        }

        public override Task<GetInstanceResponse> WaitForInstanceCompletion(GetInstanceRequest request, ServerCallContext context) =>
            Waits.TryDequeue(out var answer) ? Task.FromResult(answer()) : throw new RpcException(new Status(StatusCode.Internal, "The test gave no answer."));

        public override Task<GetInstanceResponse> GetInstance(GetInstanceRequest request, ServerCallContext context) => Answer(context, [], new GetInstanceResponse
        {
            Exists = true,
            WorkflowState = new WorkflowState { InstanceId = request.InstanceId, WorkflowStatus = OrchestrationStatus.Completed, Output = request.GetInputsAndOutputs ? "\"done\"" : null },
        });

        public override Task<GetInstanceHistoryResponse> GetInstanceHistory(GetInstanceHistoryRequest request, ServerCallContext context) => Answer(context, [], History);

        private async Task<CompleteTaskResponse> Remember<T>(ConcurrentQueue<T> into, T request, ServerCallContext context)
        {
            var answer = await Answer(context, AnswerFailures, new CompleteTaskResponse());
            into.Enqueue(request);
            return answer;
        }

        private Task<T> Answer<T>(ServerCallContext context, ConcurrentQueue<StatusCode> failures, T answer)
        {
            Calls.Enqueue((context.Method.Split('/')[^1], context.RequestHeaders.GetValue("dapr-api-token")));
            return failures.TryDequeue(out var failure) ? throw new RpcException(new Status(failure, "The test asked for this.")) : Task.FromResult(answer);
        }
    }
}
