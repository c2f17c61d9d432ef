using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;
using CancelTaskRequest = RenderTrust.A2A.CancelTaskRequest;

namespace RenderTrust.Gateway.A2A;

/// <summary>RenderTrust as an A2A agent: one job is one task. It keeps no task state; the scheduler's job log is the truth.</summary>
internal sealed class JobAgent(
    SubmitJob submit, TaskFollower tasks, ModuleCache modules, AppInvoker apps, Timings timings, JobTraces traces, TimeProvider time, IOptions<A2AGatewayOptions> options, IOptions<GatewayOptions> gateway)
    : IA2AAgent
{
    public async Task<SendMessageResponse> SendMessageAsync(SendMessageRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        var message = request.Message!;
        await RefuseFollowUpAsync(message, call, cancellationToken);
        if (JobMessage.Read(message, options.Value.MaxInlineBytes) is not { } job)
        {
            return new SendMessageResponse { Message = Descriptions.Answer(PublicUrl, message.ContextId, await modules.ListAsync(cancellationToken)) };
        }

        var tenant = call.Http.User.TenantId();
        var submitted = await SubmitAsync(job, message, call, cancellationToken);
        var historyLength = request.Configuration?.HistoryLength;
        if (request.Configuration?.ReturnImmediately is true)
        {
            MeasureSubmit(submitted, call);

            // A job taken this moment is known without asking; a repeated one may have come far since.
            return new SendMessageResponse { Task = submitted.IsNew ? submitted.FirstView().Snapshot(historyLength) : (await ReadOwnAsync(submitted, message, tenant, cancellationToken)).Snapshot(historyLength) };
        }

        // Leaving early ends the wait, never the job.
        await foreach (var followed in tasks.FollowAsync(submitted.TaskId, tenant, known: null, historyLength, view => RefuseOtherContext(view, message), cancellationToken))
        {
            if (followed.IsLast)
            {
                break;
            }
        }

        return new SendMessageResponse { Task = (await tasks.ReadAsync(submitted.TaskId, tenant, cancellationToken)).Snapshot(historyLength) };
    }

    public async IAsyncEnumerable<StreamResponse> SendStreamingMessageAsync(SendMessageRequest request, A2ACall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var message = request.Message!;
        await RefuseFollowUpAsync(message, call, cancellationToken);
        if (JobMessage.Read(message, options.Value.MaxInlineBytes) is not { } job)
        {
            yield return StreamResponse.Of(Descriptions.Answer(PublicUrl, message.ContextId, await modules.ListAsync(cancellationToken)));
            yield break;
        }

        var submitted = await SubmitAsync(job, message, call, cancellationToken);
        MeasureSubmit(submitted, call);
        await foreach (var response in StreamAsync(submitted.TaskId, submitted.IsNew ? submitted.FirstView() : null, request.Configuration?.HistoryLength, view => RefuseOtherContext(view, message), call, cancellationToken))
        {
            yield return response;
        }
    }

    public async Task<AgentTask> GetTaskAsync(GetTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        (await tasks.ReadAsync(TaskFollower.Parse(request.Id), call.Http.User.TenantId(), cancellationToken)).Snapshot(request.HistoryLength);

    public async Task<AgentTask> CancelTaskAsync(CancelTaskRequest request, A2ACall call, CancellationToken cancellationToken)
    {
        var taskId = TaskFollower.Parse(request.Id);
        var tenant = call.Http.User.TenantId();
        var response = await apps.PostAsync<Contracts.CancelTaskRequest, CancelTaskResponse>(
            Apps.Scheduler, $"/internal/tasks/{taskId}/cancel", new Contracts.CancelTaskRequest(tenant, "Canceled by the creator."), cancellationToken);
        return response.Outcome switch
        {
            CancelOutcome.Canceled => (response.Task is { } log ? TaskView.Of(log) : await tasks.ReadAsync(taskId, tenant, cancellationToken)).Snapshot(null),
            CancelOutcome.UnknownTask => throw new A2AErrorException(A2AError.TaskNotFound(request.Id)),
            _ => throw new A2AErrorException(A2AError.TaskNotCancelable(request.Id, (await tasks.ReadAsync(taskId, tenant, cancellationToken)).State)),
        };
    }

    public IAsyncEnumerable<StreamResponse> SubscribeToTaskAsync(SubscribeToTaskRequest request, A2ACall call, CancellationToken cancellationToken) =>
        StreamAsync(TaskFollower.Parse(request.Id), known: null, historyLength: null, view => RefuseEnded(view, request.Id), call, cancellationToken);

    private string PublicUrl => gateway.Value.PublicUrl.TrimEnd('/');

    private async IAsyncEnumerable<StreamResponse> StreamAsync(
        TaskId taskId, TaskView? known, int? historyLength, Action<TaskView> check, A2ACall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var followed in tasks.FollowAsync(taskId, call.Http.User.TenantId(), known, historyLength, check, cancellationToken))
        {
            yield return followed.Response;

            // The next event is asked for only after this one has been flushed, so here its way out has ended.
            if (followed.ResultReceivedAt is { } receivedAt && followed.Response.ArtifactUpdate is not null)
            {
                timings.Record(taskId, "return", time.GetUtcNow() - receivedAt, followed.UnitIndex);
            }
        }
    }

    private async Task<SubmittedJob> SubmitAsync(JobMessage job, Message message, A2ACall call, CancellationToken cancellationToken)
    {
        var tenant = call.Http.User.TenantId();
        using var span = traces.Begin(call.Http, job.Spec, tenant);
        return await submit.RunAsync(job, tenant, message.ContextId, call.Http.Features.Get<Arrival>()?.At ?? time.GetUtcNow(), cancellationToken);
    }

    /// <summary>Request in to task id flushed, and what measuring itself costs the request path.</summary>
    private void MeasureSubmit(SubmittedJob submitted, A2ACall call)
    {
        if (call.Http.Features.Get<Arrival>() is not { } arrival)
        {
            return;
        }

        call.Flushed = _ =>
        {
            call.Flushed = null;
            var flushed = time.GetTimestamp();
            timings.Record(submitted.TaskId, "submit", time.GetElapsedTime(arrival.Timestamp, flushed));
            timings.Record(submitted.TaskId, "ledgerHandover", time.GetElapsedTime(flushed));
        };
    }

    /// <summary>Jobs take no further messages. Whose task it is gets settled before anything is said about it.</summary>
    private async Task RefuseFollowUpAsync(Message message, A2ACall call, CancellationToken cancellationToken)
    {
        if (message.TaskId is not { Length: > 0 } taskId)
        {
            return;
        }

        var view = await tasks.ReadAsync(TaskFollower.Parse(taskId), call.Http.User.TenantId(), cancellationToken);
        RefuseOtherContext(view, message);
        throw new A2AErrorException(A2AError.UnsupportedOperation(view.State.IsTerminal()
            ? $"Task '{taskId}' has ended. Submit a new job."
            : $"Task '{taskId}' takes no further messages. Use SubscribeToTask to follow it or CancelTask to end it."));
    }

    private async Task<TaskView> ReadOwnAsync(SubmittedJob submitted, Message message, TenantId tenant, CancellationToken cancellationToken)
    {
        var view = await tasks.ReadAsync(submitted.TaskId, tenant, cancellationToken);
        RefuseOtherContext(view, message);
        return view;
    }

    private static void RefuseOtherContext(TaskView view, Message message)
    {
        if (message.ContextId is { Length: > 0 } contextId && contextId != view.ContextId)
        {
            throw new A2AErrorException(A2AError.InvalidParams("message.contextId", $"is '{contextId}', but the task belongs to context '{view.ContextId}'. Leave contextId out or send that one."));
        }
    }

    private static void RefuseEnded(TaskView view, string taskId)
    {
        if (view.State.IsTerminal())
        {
            throw new A2AErrorException(A2AError.UnsupportedOperation($"Task '{taskId}' has ended ({view.State}); nothing more will happen to it. Use GetTask."));
        }
    }
}
