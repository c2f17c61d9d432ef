using System.Text.Json;
using Google.Protobuf;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Scheduler.Tests;

/// <summary>
/// What an engine recorded of one saga, as it came from <c>GetInstanceHistory</c>. Every turn begins with workflowStarted; entries with an id of their
/// own are what the saga asked for in that turn, all others what it was told.
/// </summary>
internal sealed class SagaHistory(string name, IReadOnlyList<HistoryEvent> events)
{
    public string Name => name;

    public static string Folder => Path.Combine(SchemaTests.Repository(), "tests/Scheduler.Tests/Histories");

    public static IEnumerable<string> Names => Directory.EnumerateFiles(Folder, "*.json").Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal);

    public static SagaHistory Load(string name) =>
        new(name, JsonParser.Default.Parse<GetInstanceHistoryResponse>(File.ReadAllText(Path.Combine(Folder, name + ".json"))).Events);

    public static void Save(string name, GetInstanceHistoryResponse history)
    {
        foreach (var failed in history.Events.Select(entry => entry.TaskFailed).OfType<TaskFailedEvent>())
        {
            // Names files of whoever recorded it, and no saga looks at it.
            failed.FailureDetails.StackTrace = null;
        }

        File.WriteAllText(Path.Combine(Folder, name + ".json"), new JsonFormatter(JsonFormatter.Settings.Default.WithIndentation()).Format(history) + "\n");
    }

    /// <summary>Runs the present code over every turn. Null when it asks for what was recorded, else the first difference.</summary>
    /// <param name="after">Only turns in whose past this step was asked for; null: all.</param>
    public async Task<string?> ReplayAsync(ReplayHub hub, SagaStepName? after = null)
    {
        var starts = Enumerable.Range(0, events.Count).Where(index => events[index].WorkflowStarted is not null).Append(events.Count).ToList();
        for (var turn = 0; turn < starts.Count - 1; turn++)
        {
            if (after is { } step && !events.Take(starts[turn]).Any(entry => entry.TaskScheduled?.Name == step.ToString()))
            {
                continue;
            }

            var entries = events.Take(starts[turn + 1]).Skip(starts[turn]).ToList();
            var answer = await hub.TurnAsync(events.Take(starts[turn]), entries.Where(entry => !WasAskedFor(entry)));
            var recorded = string.Join("; ", entries.Where(WasAskedFor).Select(Describe));
            var asked = string.Join("; ", answer.Actions.OrderBy(action => action.CompleteWorkflow is not null).ThenBy(action => action.Id).Select(Describe));
            if (recorded != asked)
            {
                return $"{name}, turn {turn}: recorded '{recorded}', the code asks for '{asked}'";
            }
        }

        return null;
    }

    private static bool WasAskedFor(HistoryEvent entry) => entry.TaskScheduled is not null || entry.TimerCreated is not null || entry.ExecutionCompleted is not null;

    private static string Describe(HistoryEvent entry) =>
        entry.TaskScheduled is { } task ? $"{entry.EventId} {Task(task.Name, task.Input)}"
        : entry.TimerCreated is { } timer ? $"{entry.EventId} timer {timer.FireAt}"
        : $"end {entry.ExecutionCompleted.WorkflowStatus}";

    private static string Describe(WorkflowAction action) =>
        action.ScheduleTask is { } task ? $"{action.Id} {Task(task.Name, task.Input)}"
        : action.CreateTimer is { } timer ? $"{action.Id} timer {timer.FireAt}"
        : action.CompleteWorkflow is { } end ? $"end {end.WorkflowStatus}{(end.FailureDetails is { } failure ? $" ({failure.ErrorMessage})" : "")}"
        : action.WorkflowActionTypeCase.ToString();

    // The call's key and not its text: a member that is added to it changes no order.
    private static string Task(string name, string input) => $"{name} {JsonSerializer.Deserialize<StepCall>(input, WireJson.Options)!.Key}";
}
