using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

/// <summary>One event of a stream: exactly one member is set.</summary>
public sealed record StreamResponse
{
    public AgentTask? Task { get; init; }
    public Message? Message { get; init; }
    public TaskStatusUpdateEvent? StatusUpdate { get; init; }
    public TaskArtifactUpdateEvent? ArtifactUpdate { get; init; }

    public static StreamResponse Of(AgentTask task) => new() { Task = task };
    public static StreamResponse Of(Message message) => new() { Message = message };
    public static StreamResponse Of(TaskStatusUpdateEvent update) => new() { StatusUpdate = update };
    public static StreamResponse Of(TaskArtifactUpdateEvent update) => new() { ArtifactUpdate = update };
}

public sealed record TaskStatusUpdateEvent
{
    public string TaskId { get; init; } = "";
    public string ContextId { get; init; } = "";
    public AgentTaskStatus Status { get; init; } = new();
    public JsonObject? Metadata { get; init; }
}

public sealed record TaskArtifactUpdateEvent
{
    public string TaskId { get; init; } = "";
    public string ContextId { get; init; } = "";
    public Artifact Artifact { get; init; } = new();

    /// <summary>True: append the parts to the artifact with this id. Null means false and stays off the wire.</summary>
    public bool? Append { get; init; }
    public bool? LastChunk { get; init; }
    public JsonObject? Metadata { get; init; }
}
