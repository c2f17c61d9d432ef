using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Jobs;

/// <summary>What an update tells.</summary>
public enum JobUpdateKind
{
    /// <summary>The state of the whole job, at the start of watching and after every break.</summary>
    Snapshot,

    /// <summary>The job's state changed, or a unit was leased or made progress.</summary>
    Status,

    /// <summary>A unit's outputs are there. Told once for each unit, whatever breaks in between.</summary>
    UnitCompleted,
}

/// <summary>One thing that happened to a job. Members that the event does not speak of are null.</summary>
/// <param name="EventKind">The platform's own kind of event, such as <c>unitLeased</c>.</param>
public sealed record JobUpdate(
    JobUpdateKind Kind, string TaskId, string ContextId, TaskState State, DateTimeOffset? At, string? Reason, string? EventKind,
    int? UnitIndex, int? UnitCount, int? UnitsCompleted, string? NodeName, int? AttemptNumber, double? Progress, IReadOnlyList<UnitOutput> Outputs)
{
    /// <summary>Nothing follows.</summary>
    public bool IsFinal => Kind is not JobUpdateKind.UnitCompleted && State.IsTerminal();
}

/// <summary>Reads A2A events as job updates, and tells each finished unit once.</summary>
internal sealed class JobUpdates
{
    private readonly HashSet<string> _toldArtifacts = new(StringComparer.Ordinal);
    private TaskState _state = TaskState.Submitted;

    /// <summary>Of the task, once the first event has told it.</summary>
    public string? TaskId { get; private set; }

    public string ContextId { get; private set; } = "";

    /// <summary>
    /// Reads one event. A terminal state comes last: a snapshot of an ended job first tells the units that were missed.
    /// </summary>
    public IEnumerable<JobUpdate> Read(StreamResponse response)
    {
        if (response.Task is { } task)
        {
            TaskId = task.Id;
            ContextId = task.ContextId ?? ContextId;
            _state = task.Status.State;
            var snapshot = Update(JobUpdateKind.Snapshot, task.Status, task.Metadata);
            if (!snapshot.IsFinal)
            {
                yield return snapshot;
            }

            foreach (var artifact in task.Artifacts ?? [])
            {
                if (ReadArtifact(artifact, task.Status.Timestamp) is { } told)
                {
                    yield return told;
                }
            }

            if (snapshot.IsFinal)
            {
                yield return snapshot;
            }
        }
        else if (response.StatusUpdate is { } status)
        {
            TaskId ??= status.TaskId;
            ContextId = status.ContextId;
            _state = status.Status.State;
            yield return Update(JobUpdateKind.Status, status.Status, status.Metadata);
        }
        else if (response.ArtifactUpdate is { } update && ReadArtifact(update.Artifact, null) is { } told)
        {
            yield return told;
        }
    }

    /// <summary>The outputs in an artifact's parts.</summary>
    public static IReadOnlyList<UnitOutput> Outputs(Artifact artifact) =>
    [
        .. artifact.Parts
            .Where(part => part.MediaType == MediaTypes.Output && part.Data.ValueKind is JsonValueKind.Object)
            .Select(part => part.Data.Deserialize<UnitOutput>(WireJson.Options)!),
    ];

    public static int? UnitIndex(Artifact artifact) => Int(artifact.Metadata, "unitIndex") ?? Int(artifact.Metadata?[WellKnown.SealingExtension], "unitIndex");

    private JobUpdate? ReadArtifact(Artifact artifact, DateTimeOffset? at) => _toldArtifacts.Add(artifact.ArtifactId)
        ? new JobUpdate(
            JobUpdateKind.UnitCompleted, TaskId ?? "", ContextId, _state, at, null, "unitCompleted", UnitIndex(artifact), null, null, null, null, null, Outputs(artifact))
        : null;

    private JobUpdate Update(JobUpdateKind kind, AgentTaskStatus status, JsonObject? metadata)
    {
        var facts = metadata?[WellKnown.SealingExtension] as JsonObject;
        var reason = string.Join(' ', status.Message?.Parts.Select(part => part.Text).OfType<string>() ?? []);
        return new JobUpdate(
            kind, TaskId ?? "", ContextId, status.State, status.Timestamp, reason.Length > 0 ? reason : Text(facts, "reason"), Text(facts, "kind"),
            Int(facts, "unitIndex"), Int(facts, "unitCount"), Int(facts, "unitsCompleted"), Text(facts, "nodeName"), Int(facts, "attemptNumber"),
            facts?["progress"] is JsonValue progress && progress.TryGetValue<double>(out var share) ? share : null, []);
    }

    private static int? Int(JsonNode? facts, string name) =>
        facts is JsonObject members && members[name] is JsonValue value && value.TryGetValue<double>(out var number) ? (int)number : null;

    private static string? Text(JsonObject? facts, string name) =>
        facts?[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
