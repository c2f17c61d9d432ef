using Dapr.Workflow.Worker.Replay;
using RenderTrust.TaskHubProtocol;
using ActionCase = RenderTrust.TaskHubProtocol.WorkflowAction.WorkflowActionTypeOneofCase;

namespace RenderTrust.Workflow.Tests.Replay;

/// <summary>One turn of an instance's life: what was behind it, what was new, and what the code answered.</summary>
internal sealed record StoryTurn(HistoryEvent[] Past, HistoryEvent[] Fresh, TurnResult Result);

/// <summary>
/// Lives through an instance as a sidecar would, with a world that answers in an order, and in portions, drawn from a seed: activities and children
/// fail now and then, events come unasked, the instance is suspended and resumed.
/// </summary>
internal sealed class Story(IReadOnlyList<Step> program, int seed)
{
    private const int MostTurns = 60;

    private readonly Random random = new(seed);
    private readonly List<HistoryEvent> past = [];
    private readonly List<HistoryEvent> due = [];
    private double seconds;
    private bool suspended;

    public List<StoryTurn> Turns { get; } = [];

    public string? Output { get; private set; }

    public Story Live()
    {
        HistoryEvent[] fresh = [Entry.Turn(), Entry.Started()];
        for (var turn = 0; turn < MostTurns && Output is null; turn++)
        {
            var result = Code.Run(context => Programs.InterpretAsync(context, program), [.. past], fresh);
            Turns.Add(new StoryTurn([.. past], fresh, result));
            Commit(fresh, result);
            fresh = Next();
        }

        return this;
    }

    private void Commit(HistoryEvent[] fresh, TurnResult result)
    {
        past.AddRange(fresh);
        if (result.Response.Version is { } version)
        {
            var before = past.Take(past.Count - fresh.Length).SelectMany(entry => entry.WorkflowStarted?.Version?.Patches ?? []).ToHashSet();
            fresh[0].WorkflowStarted.Version = new WorkflowVersion { Patches = { version.Patches.Where(patch => !before.Contains(patch)) } };
        }

        foreach (var action in result.Response.Actions)
        {
            Commit(action);
        }
    }

    private void Commit(WorkflowAction action)
    {
        var id = action.Id;
        switch (action.WorkflowActionTypeCase)
        {
            case ActionCase.ScheduleTask:
                past.Add(Entry.Scheduled(id, action.ScheduleTask.Name));
                due.Add(random.Next(4) == 0 ? Entry.Failed(id, $"f{id}") : Entry.Done(id, $"\"r{id}\""));
                break;
            case ActionCase.CreateChildWorkflow:
                past.Add(Entry.ChildMade(id, action.CreateChildWorkflow.Name, action.CreateChildWorkflow.InstanceId));
                due.Add(random.Next(4) == 0 ? Entry.ChildFailed(id, $"f{id}") : Entry.ChildDone(id, $"\"c{id}\""));
                break;
            case ActionCase.CreateTimer:
                var made = Entry.TimerMade(id);
                made.TimerCreated.FireAt = action.CreateTimer.FireAt;
                if (action.CreateTimer.ExternalEvent is { } wait)
                {
                    made.TimerCreated.ExternalEvent = wait;
                }

                past.Add(made);
                if (!action.CreateTimer.FireAt.Equals(ActionLog.Forever))
                {
                    due.Add(Entry.Fired(id));
                }

                break;
            case ActionCase.SendEvent:
                past.Add(Entry.Sent(id, action.SendEvent.Name, action.SendEvent.Instance.InstanceId));
                break;
            case ActionCase.CompleteWorkflow:
                Assert.True(action.CompleteWorkflow.WorkflowStatus == OrchestrationStatus.Completed, action.CompleteWorkflow.FailureDetails?.ToString());
                Output = action.CompleteWorkflow.Result;
                break;
            default:
                Assert.Fail($"Unexpected {action}");
                break;
        }
    }

    private HistoryEvent[] Next()
    {
        seconds += random.Next(1, 10);
        var fresh = new List<HistoryEvent> { Entry.Turn(seconds) };
        for (var portion = random.Next(1, 4); portion > 0; portion--)
        {
            var pick = random.Next(due.Count + 2);
            if (pick < due.Count)
            {
                fresh.Add(due[pick]);
                due.RemoveAt(pick);
            }
            else
            {
                fresh.Add(Entry.Raised("abc"[random.Next(3)].ToString(), $"\"e{seconds}\""));
            }
        }

        if (random.Next(8) == 0)
        {
            fresh.Add(suspended ? Entry.Resumed() : Entry.Suspended());
            suspended = !suspended;
        }

        return [.. fresh];
    }
}
