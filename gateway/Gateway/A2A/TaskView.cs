using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.A2A;

/// <summary>
/// A task as A2A shows it, folded from the job's log. Pure: the same events give the same task on every replica, and a stream is the same fold, one event at a time.
/// </summary>
internal sealed class TaskView
{
    private readonly List<Artifact> _artifacts = [];
    private readonly List<Message> _messages = [];
    private readonly JsonObject _facts = [];
    private readonly string _taskId;
    public string ContextId { get; }
    private long _chargedMicrocredits;
    private AgentTaskStatus _status = new() { State = TaskState.Submitted };

    private TaskView(TaskLog log)
    {
        _taskId = log.TaskId.ToString();
        ContextId = log.ContextId;
        _facts["jobId"] = log.JobId.ToString();
    }

    /// <summary>Number of the last event that this view holds.</summary>
    public long Seq { get; private set; }

    public TaskState State => _status.State;

    public static TaskView Of(TaskLog log)
    {
        var view = new TaskView(log);
        foreach (var jobEvent in log.Events.OrderBy(e => e.Seq))
        {
            view.Apply(jobEvent);
        }

        return view;
    }

    /// <summary>Takes the next event in and gives what a stream says about it. Nothing changes once the task has ended.</summary>
    public IReadOnlyList<StreamResponse> Apply(JobEvent jobEvent)
    {
        Seq = jobEvent.Seq;
        if (_status.State.IsTerminal())
        {
            return [];
        }

        Remember(jobEvent);
        switch (jobEvent.Kind)
        {
            case JobEventKind.UnitCompleted when jobEvent.Body is { UnitIndex: { } unit, Outputs: { } outputs }:
                var artifact = ArtifactOf(unit, outputs);
                _artifacts.Add(artifact);
                return [StreamResponse.Of(new TaskArtifactUpdateEvent { TaskId = _taskId, ContextId = ContextId, Artifact = artifact, LastChunk = true, Metadata = ExtensionData(EventFacts(jobEvent)) })];
            case JobEventKind.Submitted or JobEventKind.StatusChanged:
                SetStatus(jobEvent, jobEvent.Body.Status ?? JobStatus.Submitted);
                break;
            case JobEventKind.UnitLeased or JobEventKind.UnitProgress or JobEventKind.UnitFailed:
                _status = _status with { State = TaskState.Working, Timestamp = jobEvent.At };
                break;
            default:
                // A kind that a newer scheduler writes: it counts, so that no gap is seen, and says nothing.
                return [];
        }

        return [StreamResponse.Of(new TaskStatusUpdateEvent { TaskId = _taskId, ContextId = ContextId, Status = _status, Metadata = ExtensionData(EventFacts(jobEvent)) })];
    }

    /// <summary>The whole task. History is the agent's own messages, oldest first; a creator's messages hold sealed bytes and are not kept.</summary>
    public AgentTask Snapshot(int? historyLength)
    {
        var history = _messages.Count > 0 && ReferenceEquals(_messages[^1], _status.Message) ? _messages[..^1] : _messages;
        return new AgentTask
        {
            Id = _taskId,
            ContextId = ContextId,
            Status = _status,
            Artifacts = [.. _artifacts],
            History = historyLength is { } length ? [.. history.TakeLast(length)] : [.. history],
            Metadata = ExtensionData((JsonObject)_facts.DeepClone()),
        };
    }

    private void SetStatus(JobEvent jobEvent, JobStatus status)
    {
        var message = jobEvent.Body.Reason is { Length: > 0 } reason ? MessageOf(jobEvent, reason) : null;
        if (message is not null)
        {
            _messages.Add(message);
        }

        _status = new AgentTaskStatus { State = StateOf(status), Timestamp = jobEvent.At, Message = message };
    }

    private Message MessageOf(JobEvent jobEvent, string text) => new()
    {
        MessageId = string.Create(CultureInfo.InvariantCulture, $"{_taskId}-{jobEvent.Seq}"),
        ContextId = ContextId,
        TaskId = _taskId,
        Role = Role.Agent,
        Parts = [Part.FromText(text)],
    };

    private static Artifact ArtifactOf(int unit, IReadOnlyList<UnitOutput> outputs) => new()
    {
        ArtifactId = string.Create(CultureInfo.InvariantCulture, $"unit-{unit:D6}"),
        Parts = [.. outputs.Select(output => Part.FromData(output, MediaTypes.Output, WireJson.Options))],
        Metadata = new JsonObject { ["unitIndex"] = unit },
        Extensions = [WellKnown.SealingExtension],
    };

    private void Remember(JobEvent jobEvent)
    {
        var body = jobEvent.Body;

        Keep("unitCount", body.UnitCount);
        Keep("unitsCompleted", body.UnitsCompleted);
        Keep("unitsFailed", body.UnitsFailed);

        // An event of a unit carries that unit's charge, one of the job the sum.
        Keep("chargedMicrocredits", body.ChargedMicrocredits is { } charge && jobEvent.Kind is JobEventKind.UnitCompleted ? _chargedMicrocredits + charge : body.ChargedMicrocredits);
        _chargedMicrocredits = (long?)_facts["chargedMicrocredits"] ?? 0;
    }

    private void Keep(string name, long? value)
    {
        if (value is { } known)
        {
            _facts[name] = known;
        }
    }

    private static JsonObject EventFacts(JobEvent jobEvent)
    {
        var facts = new JsonObject { ["kind"] = JsonNamingPolicy.CamelCase.ConvertName(jobEvent.Kind.ToString()) };
        var body = jobEvent.Body;
        (string Name, JsonNode? Value)[] known =
        [
            ("unitIndex", body.UnitIndex), ("unitCount", body.UnitCount), ("unitsCompleted", body.UnitsCompleted), ("unitsFailed", body.UnitsFailed),
            ("nodeName", body.NodeName), ("nodeId", body.NodeId?.ToString()), ("attemptNumber", body.AttemptNumber), ("progress", body.Progress), ("failureClass", body.FailureClass),
            ("reason", body.Reason), ("chargedMicrocredits", body.ChargedMicrocredits),
        ];
        foreach (var (name, value) in known)
        {
            if (value is not null)
            {
                facts[name] = value;
            }
        }

        return facts;
    }

    private static JsonObject ExtensionData(JsonObject facts) => new() { [WellKnown.SealingExtension] = facts };

    private static TaskState StateOf(JobStatus status) => status switch
    {
        JobStatus.Submitted => TaskState.Submitted,
        JobStatus.Running => TaskState.Working,
        JobStatus.Completed => TaskState.Completed,
        JobStatus.Failed => TaskState.Failed,
        JobStatus.Canceled => TaskState.Canceled,
        _ => TaskState.Unspecified,
    };
}
