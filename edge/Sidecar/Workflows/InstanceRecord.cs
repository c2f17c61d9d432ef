using Google.Protobuf.WellKnownTypes;
using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>How an instance is called from outside: ids are unique within their app.</summary>
internal readonly record struct InstanceAddress(string AppId, string InstanceId)
{
    public override string ToString() => $"{AppId}/{InstanceId}";
}

/// <summary>Who waits for a child: which instance, in which of its generations, under which action id.</summary>
internal sealed record ParentLink(Guid Key, long Generation, int Task);

/// <summary>The row of an instance as last committed. Its key is new each time an id is used again.</summary>
internal sealed record InstanceRecord
{
    public required Guid Key { get; init; }
    public required InstanceAddress Address { get; init; }
    public required OrchestrationStatus Status { get; init; }

    /// <summary>Rises with every continue-as-new.</summary>
    public required long Generation { get; init; }

    /// <summary>Rises with every commit; a commit names the one it was decided on.</summary>
    public required long Version { get; init; }

    /// <summary>What the generation begins with: executionStarted, then the events carried over.</summary>
    public required IReadOnlyList<HistoryEvent> Start { get; init; }
    public HistoryEvent? Completed { get; init; }
    public HistoryEvent? Stalled { get; init; }
    public string? CustomStatus { get; init; }
    public byte[]? Propagated { get; init; }
    public ParentLink? Parent { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
    public DateTimeOffset? ScheduledAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }

    public bool IsTerminal => Completed is not null;
    public ExecutionStartedEvent Started => Start[0].ExecutionStarted;

    /// <summary>As clients see it. Payloads only on request: they may be large.</summary>
    public WorkflowState ToWire(bool withPayloads)
    {
        var state = new WorkflowState
        {
            InstanceId = Address.InstanceId,
            Name = Started.Name,
            Version = Started.Version,
            WorkflowStatus = Status,
            ScheduledStartTimestamp = Started.ScheduledStartTimestamp ?? At(ScheduledAt),
            CreatedTimestamp = At(CreatedAt),
            LastUpdatedTimestamp = At(UpdatedAt),
            ExecutionId = Started.WorkflowInstance?.ExecutionId,
            CompletedTimestamp = At(CompletedAt),
            ParentInstanceId = Started.ParentInstance?.WorkflowInstance?.InstanceId,
            ParentAppId = Started.ParentInstance is { HasAppID: true } parent ? parent.AppID : null,
            StartedAt = At(StartedAt),
        };
        state.Tags.Add(Started.Tags);
        if (withPayloads)
        {
            state.Input = Started.Input;
            state.Output = Completed?.ExecutionCompleted.Result;
            state.CustomStatus = CustomStatus;
            state.FailureDetails = Completed?.ExecutionCompleted.FailureDetails;
        }

        return state;
    }

    private static Timestamp? At(DateTimeOffset? moment) => moment is { } known ? Timestamp.FromDateTimeOffset(known) : null;
}
