using System.Diagnostics;
using RenderTrust.A2A;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;

namespace RenderTrust.Chaos.Tests.Campaign;

/// <summary>One job as its creator lived it.</summary>
/// <param name="UnitsTold">Units whose outputs the stream brought.</param>
internal sealed record LivedJob(RenderTrustClient Creator, JobId JobId, string TaskId, JobCourse Course, TaskState State, string? Reason, IReadOnlyList<int> UnitsTold, IReadOnlyList<string> Complaints);

/// <summary>
/// Takes a job from its draft to its end as a patient client does: submits until it has a task, sending the same bytes again when an answer is
/// lost, and watches until the end, subscribing again when a stream breaks.
/// </summary>
/// <param name="killing">Over when nobody kills any more.</param>
/// <param name="killFor">The longest that it takes.</param>
internal sealed class JobFlow(RenderTrustClient creator, ModuleVersion module, JobCourse course, Action unitCompleted, Task killing, TimeSpan killFor)
{
    // Under fire a job may be hit over and over; what is still not there this long after the last kill is lost.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(8);
    private readonly TimeSpan longest = killFor + Patience;

    public async Task<LivedJob> RunAsync(CancellationToken cancellationToken)
    {
        var draft = course.ToDraft(module);
        var taskId = await SubmitAsync(draft, cancellationToken);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var canceling = course.End == MeantEnd.CanceledOrCompleted ? CancelAsync(taskId, over.Token) : Task.CompletedTask;
        var lived = await new JobWatch(creator, taskId, killing, unitCompleted).RunAsync(Patience, cancellationToken);
        await over.CancelAsync();
        await canceling;
        return new LivedJob(creator, draft.JobId, taskId, course, lived.State, lived.Reason, lived.UnitsTold, lived.Complaints);
    }

    private async Task<string> SubmitAsync(JobDraft draft, CancellationToken cancellationToken)
    {
        var recorded = false;
        var submitted = await Wait.ForAsync<SubmittedJob?>(
            $"job {draft.JobId} to be accepted",
            async () =>
            {
                if (recorded)
                {
                    return await creator.Jobs.ResubmitAsync(draft.JobId, cancellationToken);
                }

                try
                {
                    return await creator.Jobs.SubmitAsync(draft, null, cancellationToken);
                }
                catch (Exception exception) when (Passing.IsOne(exception))
                {
                    // Sealing again would make another manifest; what was recorded before it was sent is sent again as it was.
                    recorded = File.Exists(Path.Combine(creator.Profile.JobsFolder, draft.JobId.ToString(), "record.json"));
                    throw;
                }
            },
            job => job is not null, cancellationToken, longest);
        return submitted!.TaskId;
    }

    private async Task CancelAsync(string taskId, CancellationToken over)
    {
        try
        {
            // Caught in the act, and not before it has begun.
            await Wait.ForAsync("a unit to run", () => creator.Jobs.GetTaskAsync(taskId, over), task => task.Status.State != TaskState.Submitted, over, longest);
            await Wait.ForAsync("the cancellation to be taken", () => creator.Jobs.CancelAsync(taskId, over), _ => true, over, longest);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The job was over first.
        }
        catch (RenderTrustException exception) when (exception.RpcCode == A2AErrorCodes.TaskNotCancelable)
        {
            // It ended a moment ago, by the cancellation whose answer was lost or by itself.
        }
    }
}

/// <summary>Watches one task to its end over any number of streams, and notes whatever a client should never see.</summary>
internal sealed class JobWatch(RenderTrustClient creator, string taskId, Task killing, Action unitCompleted)
{
    private readonly SortedSet<int> units = [];
    private readonly List<string> complaints = [];
    private TaskState state = TaskState.Submitted;
    private string? reason;
    private long seq;

    /// <param name="patience">How long after the last kill the end may take.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public async Task<(TaskState State, string? Reason, IReadOnlyList<int> UnitsTold, IReadOnlyList<string> Complaints)> RunAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var agent = new A2AClient(creator.Http, new Uri(creator.Profile.Facts.GatewayUrl, "/a2a"));
        var rest = new Stopwatch();
        var last = "nothing";
        while (!state.IsTerminal())
        {
            if (killing.IsCompleted)
            {
                rest.Start();
            }

            if (rest.Elapsed > patience)
            {
                throw new TimeoutException($"Task {taskId} did not end within {patience.TotalMinutes:0} minutes after the last kill; its state was {state} with units {string.Join(", ", units)} done, the last trouble: {last}");
            }

            try
            {
                await foreach (var told in agent.SubscribeToTaskAsync(taskId, cancellationToken))
                {
                    Hear(told);
                }
            }
            catch (A2AErrorException exception) when (exception.Error.Code == A2AErrorCodes.UnsupportedOperation)
            {
                // An ended task has no stream any more; it is read below.
                last = exception.Message;
            }
            catch (Exception exception) when (Passing.IsOne(exception) && !cancellationToken.IsCancellationRequested)
            {
                last = exception.Message;
            }

            await LookAsync(agent, cancellationToken);
            await Task.Delay(100, cancellationToken);
        }

        return (state, reason, [.. units], complaints);
    }

    private async Task LookAsync(A2AClient agent, CancellationToken cancellationToken)
    {
        try
        {
            Hear(StreamResponse.Of(await agent.GetTaskAsync(taskId, historyLength: 0, cancellationToken)));
        }
        catch (Exception exception) when (Passing.IsOne(exception) && !cancellationToken.IsCancellationRequested)
        {
            // Asked again with the next round.
        }
    }

    private void Hear(StreamResponse told)
    {
        if (told.Task is { } task)
        {
            var shown = (task.Artifacts ?? []).Select(artifact => artifact.ArtifactId).ToList();
            Complain(shown.Count != shown.Distinct().Count(), $"a snapshot shows a unit twice: {string.Join(", ", shown)}");
            var numbers = shown.ConvertAll(UnitOf);
            Complain(!units.IsSubsetOf(numbers), $"a snapshot shows units {string.Join(", ", numbers)}, and {string.Join(", ", units)} had been told before");
            numbers.ForEach(Complete);
            Hear(task.Status);
        }
        else if (told.ArtifactUpdate is { } artifact)
        {
            Complain(units.Contains(UnitOf(artifact.Artifact.ArtifactId)), $"{artifact.Artifact.ArtifactId} was told twice on one stream");
            Complete(UnitOf(artifact.Artifact.ArtifactId));
        }
        else if (told.StatusUpdate is { } status)
        {
            Hear(status.Status);
        }
    }

    private void Hear(AgentTaskStatus status)
    {
        Complain(Rank(status.State) < Rank(state), $"the state went from {state} back to {status.State}");
        Complain(state.IsTerminal() && status.State != state, $"the end changed from {state} to {status.State}");
        state = status.State;
        reason = status.Message is { } message ? string.Join(' ', message.Parts.Select(part => part.Text)) : reason;

        // A status message is numbered by the event that it tells.
        if (status.Message?.MessageId.Split('-') is [.., var number] && long.TryParse(number, out var told))
        {
            Complain(told < seq, $"the log went from event {seq} back to {told}");
            seq = Math.Max(seq, told);
        }
    }

    private void Complete(int unit)
    {
        if (units.Add(unit))
        {
            unitCompleted();
        }
    }

    private void Complain(bool isWrong, string what)
    {
        if (isWrong)
        {
            complaints.Add($"task {taskId}: {what}");
        }
    }

    private static int UnitOf(string artifactId) => int.Parse(artifactId["unit-".Length..], System.Globalization.CultureInfo.InvariantCulture);

    private static int Rank(TaskState state) => state switch
    {
        TaskState.Submitted => 0,
        TaskState.Working => 1,
        _ => 2,
    };
}
