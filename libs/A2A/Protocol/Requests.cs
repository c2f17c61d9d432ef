using System.Text.Json.Nodes;

namespace RenderTrust.A2A;

public sealed record SendMessageRequest
{
    public string? Tenant { get; init; }
    public Message? Message { get; init; }
    public SendMessageConfiguration? Configuration { get; init; }
    public JsonObject? Metadata { get; init; }
}

public sealed record SendMessageConfiguration
{
    public IReadOnlyList<string>? AcceptedOutputModes { get; init; }
    public TaskPushNotificationConfig? TaskPushNotificationConfig { get; init; }
    public int? HistoryLength { get; init; }

    /// <summary>False or unset: wait for a terminal or interrupted state. True: answer once the task exists.</summary>
    public bool? ReturnImmediately { get; init; }
}

/// <summary>Exactly one member is set.</summary>
public sealed record SendMessageResponse
{
    public AgentTask? Task { get; init; }
    public Message? Message { get; init; }
}

public sealed record GetTaskRequest
{
    public string? Tenant { get; init; }
    public string Id { get; init; } = "";
    public int? HistoryLength { get; init; }
}

public sealed record CancelTaskRequest
{
    public string? Tenant { get; init; }
    public string Id { get; init; } = "";
    public JsonObject? Metadata { get; init; }
}

public sealed record SubscribeToTaskRequest
{
    public string? Tenant { get; init; }
    public string Id { get; init; } = "";
}

public sealed record ListTasksRequest
{
    public string? Tenant { get; init; }
    public string? ContextId { get; init; }
    public TaskState Status { get; init; }
    public int? PageSize { get; init; }
    public string? PageToken { get; init; }
    public int? HistoryLength { get; init; }
    public DateTimeOffset? StatusTimestampAfter { get; init; }
    public bool? IncludeArtifacts { get; init; }
}

public sealed record ListTasksResponse
{
    public IReadOnlyList<AgentTask> Tasks { get; init; } = [];
    public string NextPageToken { get; init; } = "";
    public int PageSize { get; init; }
    public int TotalSize { get; init; }
}

public sealed record TaskPushNotificationConfig
{
    public string? Tenant { get; init; }
    public string? Id { get; init; }
    public string? TaskId { get; init; }
    public string Url { get; init; } = "";
    public string? Token { get; init; }
    public AuthenticationInfo? Authentication { get; init; }
}

public sealed record AuthenticationInfo
{
    public string Scheme { get; init; } = "";
    public string? Credentials { get; init; }
}

/// <summary>Names one push configuration of one task (Get and Delete).</summary>
public sealed record PushNotificationConfigRequest
{
    public string? Tenant { get; init; }
    public string TaskId { get; init; } = "";
    public string Id { get; init; } = "";
}

public sealed record ListPushNotificationConfigsRequest
{
    public string? Tenant { get; init; }
    public string TaskId { get; init; } = "";
    public int? PageSize { get; init; }
    public string? PageToken { get; init; }
}

public sealed record ListPushNotificationConfigsResponse
{
    public IReadOnlyList<TaskPushNotificationConfig> Configs { get; init; } = [];
    public string? NextPageToken { get; init; }
}

public sealed record GetExtendedAgentCardRequest
{
    public string? Tenant { get; init; }
}
