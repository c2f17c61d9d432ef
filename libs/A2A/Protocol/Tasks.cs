using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

/// <summary>Where a task is in its life. Written by its proto name, read by name or number.</summary>
public enum TaskState
{
    Unspecified = 0,
    Submitted = 1,
    Working = 2,
    Completed = 3,
    Failed = 4,
    Canceled = 5,
    InputRequired = 6,
    Rejected = 7,
    AuthRequired = 8,
}

public static class TaskStates
{
    /// <summary>Nothing may change once a task is here.</summary>
    public static bool IsTerminal(this TaskState state) =>
        state is TaskState.Completed or TaskState.Failed or TaskState.Canceled or TaskState.Rejected;

    /// <summary>The task waits for its client.</summary>
    public static bool IsInterrupted(this TaskState state) => state is TaskState.InputRequired or TaskState.AuthRequired;
}

/// <summary>The protocol's Task. Named apart from System.Threading.Tasks.Task.</summary>
public sealed record AgentTask
{
    public string Id { get; init; } = "";
    public string? ContextId { get; init; }
    public AgentTaskStatus Status { get; init; } = new();
    public IReadOnlyList<Artifact>? Artifacts { get; init; }
    public IReadOnlyList<Message>? History { get; init; }
    public JsonObject? Metadata { get; init; }
}

/// <summary>The protocol's TaskStatus.</summary>
public sealed record AgentTaskStatus
{
    public TaskState State { get; init; }
    public Message? Message { get; init; }
    public DateTimeOffset? Timestamp { get; init; }
}

public sealed record Artifact
{
    public string ArtifactId { get; init; } = "";
    public string? Name { get; init; }
    public string? Description { get; init; }
    public IReadOnlyList<Part> Parts { get; init; } = [];
    public JsonObject? Metadata { get; init; }
    public IReadOnlyList<string>? Extensions { get; init; }
}
