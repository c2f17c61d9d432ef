using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using RenderTrust.A2A;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.A2A;

/// <summary>One event as a stream tells it.</summary>
/// <param name="IsLast">The task has ended with this one.</param>
/// <param name="ResultReceivedAt">For a live result: when its frame came in at the hub.</param>
/// <param name="UnitIndex">Whose result it is.</param>
internal sealed record FollowedEvent(StreamResponse Response, bool IsLast, DateTimeOffset? ResultReceivedAt = null, int? UnitIndex = null);

/// <summary>Reads tasks from the scheduler, once or for as long as they change.</summary>
internal sealed class TaskFollower(AppInvoker apps, EndedTasks ended, JobEventHub hub, TailJobEventsLoop tail, IOptions<A2AGatewayOptions> options, TimeProvider time)
{
    /// <summary>The task's log; refuses a task that does not exist and one of another tenant alike.</summary>
    public async Task<TaskView> ReadAsync(TaskId taskId, TenantId tenant, CancellationToken cancellationToken)
    {
        if (ended.Find(taskId, tenant) is { } known)
        {
            return TaskView.Of(known);
        }

        var log = await ReadLogAsync(taskId, tenant, cancellationToken);
        var view = TaskView.Of(log);
        if (view.State.IsTerminal())
        {
            ended.Keep(log, tenant);
        }

        return view;
    }

    public static TaskId Parse(string taskId) =>
        TaskId.TryParse(taskId, null, out var parsed) ? parsed : throw new A2AErrorException(A2AError.TaskNotFound(taskId));

    /// <summary>
    /// The task as it stands, then everything that happens to it, each once and in order, until it ends. Order of steps:
    /// 1. listen, 2. read the log, 3. tell what the log says, 4. tell what is heard and is newer. Listening first is what leaves no gap.
    /// </summary>
    /// <param name="known">A task that was made this moment: it is told at once, and the log is read only after that.</param>
    public async IAsyncEnumerable<FollowedEvent> FollowAsync(
        TaskId taskId, TenantId tenant, TaskView? known, int? historyLength, Action<TaskView>? check, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await tail.WaitUntilFollowingAsync(cancellationToken);
        using var subscription = hub.Subscribe(taskId, options.Value.StreamBacklogEvents);
        var view = known ?? await ReadAsync(taskId, tenant, cancellationToken);
        check?.Invoke(view);
        yield return new FollowedEvent(StreamResponse.Of(view.Snapshot(historyLength)), view.State.IsTerminal());

        var mayBeBehind = known is not null;
        while (!view.State.IsTerminal())
        {
            var next = mayBeBehind ? null : await NextAsync(subscription, cancellationToken);
            mayBeBehind = false;
            if (next is not null && next.Seq <= view.Seq)
            {
                continue;
            }

            // Sequence numbers have no gaps, so a jump means that something was missed: the log has it.
            IEnumerable<JobEvent> news = next?.Seq == view.Seq + 1 ? [next] : await ReadSinceAsync(taskId, tenant, view.Seq, cancellationToken);
            foreach (var jobEvent in news)
            {
                foreach (var response in view.Apply(jobEvent))
                {
                    yield return new FollowedEvent(response, view.State.IsTerminal(), jobEvent.Body.ResultReceivedAt, jobEvent.Body.UnitIndex);
                }
            }
        }
    }

    private async Task<JobEvent?> NextAsync(JobEventHub.Subscription subscription, CancellationToken cancellationToken)
    {
        try
        {
            return await subscription.NextAsync(TimeSpan.FromSeconds(options.Value.StreamRecheckSeconds), time, cancellationToken);
        }
        catch (ChannelClosedException exception)
        {
            throw new AppUnavailableException("The scheduler's job log cannot be followed.", exception.InnerException ?? exception);
        }
    }

    private async Task<IEnumerable<JobEvent>> ReadSinceAsync(TaskId taskId, TenantId tenant, long seq, CancellationToken cancellationToken) =>
        (await ReadLogAsync(taskId, tenant, cancellationToken)).Events.Where(e => e.Seq > seq).OrderBy(e => e.Seq);

    private async Task<TaskLog> ReadLogAsync(TaskId taskId, TenantId tenant, CancellationToken cancellationToken) =>
        await apps.FindAsync<TaskLog>(Apps.Scheduler, $"/internal/tasks/{taskId}?tenantId={tenant}", cancellationToken)
            ?? throw new A2AErrorException(A2AError.TaskNotFound(taskId.ToString()));
}
