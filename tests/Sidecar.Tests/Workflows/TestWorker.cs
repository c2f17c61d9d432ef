using System.Threading.Channels;
using Grpc.Core;
using RenderTrust.TaskHubProtocol;
using Hub = RenderTrust.TaskHubProtocol.TaskHubSidecarService.TaskHubSidecarServiceClient;

namespace RenderTrust.Sidecar.Tests.Workflows;

/// <summary>A worker by hand: the test sees each work item and decides what is answered.</summary>
internal sealed class TestWorker : IAsyncDisposable
{
    private readonly AsyncServerStreamingCall<WorkItem> call;
    private readonly Channel<WorkItem> turns = Channel.CreateUnbounded<WorkItem>();
    private readonly Channel<WorkItem> activities = Channel.CreateUnbounded<WorkItem>();
    private readonly Task reading;

    private TestWorker(Hub hub, AsyncServerStreamingCall<WorkItem> call)
    {
        Hub = hub;
        this.call = call;
        reading = ReadAsync();
    }

    public Hub Hub { get; }

    public static async Task<TestWorker> ConnectAsync(Hub hub)
    {
        var call = hub.GetWorkItems(new GetWorkItemsRequest(), cancellationToken: TestContext.Current.CancellationToken);
        await call.ResponseHeadersAsync;
        return new TestWorker(hub, call);
    }

    public async Task<WorkItem> NextTurnAsync(string? id = null)
    {
        while (true)
        {
            var item = await NextAsync(turns, "a turn");
            if (id is null || item.WorkflowRequest.InstanceId == id)
            {
                return item;
            }
        }
    }

    public Task<WorkItem> NextActivityAsync() => NextAsync(activities, "an activity");

    /// <summary>True when nothing comes although everything that the sidecar had to do is done.</summary>
    public bool IsQuiet => turns.Reader.Count == 0 && activities.Reader.Count == 0;

    public async Task AnswerAsync(WorkItem turn, params WorkflowAction[] actions) => await AnswerAsync(turn, null, actions);

    public async Task AnswerAsync(WorkItem turn, Action<WorkflowResponse>? change, params WorkflowAction[] actions)
    {
        var response = new WorkflowResponse { InstanceId = turn.WorkflowRequest.InstanceId, CompletionToken = turn.CompletionToken, Actions = { actions } };
        change?.Invoke(response);
        await Hub.CompleteWorkflowTaskAsync(response, cancellationToken: TestContext.Current.CancellationToken);
    }

    public async Task AnswerAsync(WorkItem activity, string? result, TaskFailureDetails? failure = null) =>
        await Hub.CompleteActivityTaskAsync(new ActivityResponse
        {
            InstanceId = activity.ActivityRequest.WorkflowInstance.InstanceId, TaskId = activity.ActivityRequest.TaskId,
            CompletionToken = activity.CompletionToken, Result = result, FailureDetails = failure,
        }, cancellationToken: TestContext.Current.CancellationToken);

    /// <summary>Drops the stream as a crashed worker would.</summary>
    public async ValueTask DisposeAsync()
    {
        call.Dispose();
        await reading;
    }

    private static async Task<WorkItem> NextAsync(Channel<WorkItem> items, string what)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        try
        {
            return await items.Reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"Waited 30 s for {what}");
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            await foreach (var item in call.ResponseStream.ReadAllAsync())
            {
                await (item.WorkflowRequest is null ? activities : turns).Writer.WriteAsync(item);
            }
        }
        catch (Exception error) when (error is RpcException or ObjectDisposedException)
        {
            // The stream ends with the test, or with the host that the test stops; disposing between two items is told by the second kind.
        }
    }
}

/// <summary>Actions in short.</summary>
internal static class Do
{
    public static WorkflowAction Task(int id, string name, string? input = null, string? app = null, string key = "") => new()
    {
        Id = id, ScheduleTask = new ScheduleTaskAction { Name = name, Input = input, TaskExecutionId = key }, Router = Route(app),
    };

    public static WorkflowAction Timer(int id, DateTimeOffset at, string? waitFor = null)
    {
        var timer = new CreateTimerAction { FireAt = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(at) };
        if (waitFor is not null)
        {
            timer.ExternalEvent = new TimerOriginExternalEvent { Name = waitFor };
        }

        return new WorkflowAction { Id = id, CreateTimer = timer };
    }

    public static WorkflowAction Child(int id, string name, string childId = "", string? input = null, string? app = null) => new()
    {
        Id = id, CreateChildWorkflow = new CreateChildWorkflowAction { InstanceId = childId, Name = name, Input = input }, Router = Route(app),
    };

    public static WorkflowAction Send(int id, string to, string name, string? data = null) => new()
    {
        Id = id, SendEvent = new SendEventAction { Instance = new WorkflowInstance { InstanceId = to }, Name = name, Data = data },
    };

    public static WorkflowAction Detach(int id, string to, string name, string? input = null) => new()
    {
        Id = id, CreateDetachedWorkflow = new CreateDetachedWorkflowAction { InstanceId = to, Name = name, Input = input },
    };

    public static WorkflowAction Complete(string? result = null, OrchestrationStatus status = OrchestrationStatus.Completed, TaskFailureDetails? failure = null) => new()
    {
        CompleteWorkflow = new CompleteWorkflowAction { WorkflowStatus = status, Result = result, FailureDetails = failure },
    };

    public static WorkflowAction ContinueAsNew(string? input, params HistoryEvent[] carried) => new()
    {
        CompleteWorkflow = new CompleteWorkflowAction { WorkflowStatus = OrchestrationStatus.ContinuedAsNew, Result = input, CarryoverEvents = { carried } },
    };

    private static TaskRouter? Route(string? app) => app is null ? null : new TaskRouter { TargetAppID = app };
}
