using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Npgsql;
using RenderTrust.Sidecar.Api;
using RenderTrust.Sidecar.Hosting;
using RenderTrust.Sidecar.Workflows;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>The rpcs of <c>TaskHubSidecarService</c>: workers take work and answer it, clients start and steer instances. Names are the binding.</summary>
internal sealed class TaskHubService(WorkflowEngines engines)
{
    public Task<Empty> Hello(Empty request, ServerCallContext context) => Task.FromResult(new Empty());

    public Task<CreateInstanceResponse> StartInstance(CreateInstanceRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) => new CreateInstanceResponse
        {
            InstanceId = await engine.StartAsync(appId, request, context.RequestHeaders.GetValue("traceparent"), context.CancellationToken),
        });

    public Task<GetInstanceResponse> GetInstance(GetInstanceRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) =>
            ToResponse(await engine.GetAsync(appId, request.InstanceId, context.CancellationToken), request.GetInputsAndOutputs));

    public Task<GetInstanceResponse> WaitForInstanceStart(GetInstanceRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) => ToResponse(
            await engine.WaitAsync(appId, request.InstanceId, static record => record.Status != OrchestrationStatus.Pending, context.CancellationToken),
            request.GetInputsAndOutputs));

    public Task<GetInstanceResponse> WaitForInstanceCompletion(GetInstanceRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) => ToResponse(
            await engine.WaitAsync(appId, request.InstanceId, static record => record.IsTerminal, context.CancellationToken), request.GetInputsAndOutputs));

    public Task<RaiseEventResponse> RaiseEvent(RaiseEventRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) =>
        {
            await engine.RaiseAsync(appId, request.InstanceId, request.Name, request.Input, context.CancellationToken);
            return new RaiseEventResponse();
        });

    public Task<TerminateResponse> TerminateInstance(TerminateRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) =>
        {
            await engine.TerminateAsync(appId, request.InstanceId, request.Output, request.Recursive, context.CancellationToken);
            return new TerminateResponse();
        });

    public Task<SuspendResponse> SuspendInstance(SuspendRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) =>
        {
            await engine.SuspendAsync(appId, request.InstanceId, request.Reason, context.CancellationToken);
            return new SuspendResponse();
        });

    public Task<ResumeResponse> ResumeInstance(ResumeRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) =>
        {
            await engine.ResumeAsync(appId, request.InstanceId, request.Reason, context.CancellationToken);
            return new ResumeResponse();
        });

    public Task<PurgeInstancesResponse> PurgeInstances(PurgeInstancesRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) => new PurgeInstancesResponse
        {
            DeletedInstanceCount = request.RequestCase switch
            {
                PurgeInstancesRequest.RequestOneofCase.InstanceId =>
                    await engine.PurgeAsync(appId, request.InstanceId, request.Recursive, request.Force, context.CancellationToken),
                PurgeInstancesRequest.RequestOneofCase.PurgeInstanceFilter =>
                    await engine.PurgeAsync(appId, request.PurgeInstanceFilter, request.Recursive, context.CancellationToken),
                _ => throw WorkflowError.Invalid("The request names neither an instance nor a filter. Give one of them."),
            },
            IsComplete = true,
        });

    public Task GetWorkItems(GetWorkItemsRequest request, IServerStreamWriter<WorkItem> responses, ServerCallContext context) =>
        GuardAsync(context, null, async (engine, appId) =>
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, engine.Stopping);
            try
            {
                // Headers at once: a worker knows by them that it is connected, even when there is nothing to do.
                await context.WriteResponseHeadersAsync([]);
                await engine.ServeStreamAsync(appId, (item, token) => responses.WriteAsync(item, token), either.Token);
            }
            catch (OperationCanceledException) when (engine.Stopping.IsCancellationRequested)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, "the sidecar stops"));
            }
            catch (TimeoutException)
            {
                throw new RpcException(new Status(StatusCode.DeadlineExceeded, "the worker did not take a work item within 10 s; connect again"));
            }

            return true;
        });

    public Task<CompleteTaskResponse> CompleteActivityTask(ActivityResponse request, ServerCallContext context) =>
        GuardAsync(context, null, async (engine, appId) =>
        {
            await engine.CompleteActivityAsync(appId, request);
            return new CompleteTaskResponse();
        });

    public Task<CompleteTaskResponse> CompleteWorkflowTask(WorkflowResponse request, ServerCallContext context) =>
        GuardAsync(context, null, (engine, appId) =>
        {
            engine.CompleteTurn(appId, request);
            return Task.FromResult(new CompleteTaskResponse());
        });

    public Task<CompleteTaskResponse> CompleteOrchestratorTask(WorkflowResponse request, ServerCallContext context) => CompleteWorkflowTask(request, context);

    public Task<RerunWorkflowFromEventResponse> RerunWorkflowFromEvent(RerunWorkflowFromEventRequest request, ServerCallContext context) =>
        GuardAsync(context, request.Router, async (engine, appId) => new RerunWorkflowFromEventResponse
        {
            NewInstanceID = await engine.RerunAsync(appId, request, context.CancellationToken),
        });

    public Task<ListInstanceIDsResponse> ListInstanceIDs(ListInstanceIDsRequest request, ServerCallContext context) =>
        GuardAsync(context, null, async (engine, appId) =>
        {
            var (ids, next) = await engine.ListAsync(
                appId, request.HasContinuationToken ? request.ContinuationToken : null, request.HasPageSize ? request.PageSize : null, context.CancellationToken);
            var response = new ListInstanceIDsResponse { InstanceIds = { ids } };
            if (next is not null)
            {
                response.ContinuationToken = next;
            }

            return response;
        });

    public Task<GetInstanceHistoryResponse> GetInstanceHistory(GetInstanceHistoryRequest request, ServerCallContext context) =>
        GuardAsync(context, null, async (engine, appId) => new GetInstanceHistoryResponse
        {
            Events = { await engine.ReadHistoryAsync(appId, request.InstanceId, context.CancellationToken) },
        });

    private static GetInstanceResponse ToResponse(InstanceRecord? record, bool withPayloads) =>
        record is null ? new GetInstanceResponse { Exists = false } : new GetInstanceResponse { Exists = true, WorkflowState = record.ToWire(withPayloads) };

    private async Task<T> GuardAsync<T>(ServerCallContext context, TaskRouter? router, Func<WorkflowEngine, string, Task<T>> handle)
    {
        try
        {
            var app = context.GetHttpContext().App();
            var (engine, appId) = engines.For(app, router is { HasTargetAppID: true, TargetAppID.Length: > 0 } ? router.TargetAppID : null);
            return await handle(engine, appId);
        }
        catch (WorkflowError e)
        {
            throw Refusal.Of(e.Status, e.Message);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or System.Net.Sockets.SocketException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"The workflow tables cannot be used now ({e.Message}). Ask again; if it stays so, look after the database of the actor state store."));
        }
        catch (OperationCanceledException) when (context.CancellationToken.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "the caller has gone or its deadline has passed"));
        }
    }
}
