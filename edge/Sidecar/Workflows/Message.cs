using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>Something that an instance is to hear of with its next turn.</summary>
/// <param name="generation">The only generation that may hear it; null for any.</param>
internal sealed class Message(HistoryEvent happened, long? generation = null, Guid? id = null)
{
    public Guid Id { get; } = id ?? Guid.CreateVersion7();
    public HistoryEvent Event => happened;
    public long? Generation => generation;

    /// <summary>Its row is in the database, so a turn that takes it must remove the row.</summary>
    public bool IsStored { get; set; }

    /// <summary>Heard, or without meaning by now: it need not be stored any more.</summary>
    public bool IsOver { get; set; }

    public int Size { get; } = happened.CalculateSize();
}

/// <summary>A message and where it goes. A known key means that one use of the id and no later one.</summary>
internal sealed record Outgoing(InstanceAddress Target, Message Message, Guid? TargetKey = null);

/// <summary>An instance that is to begin.</summary>
internal sealed record Beginning
{
    public required InstanceAddress Address { get; init; }
    public required HistoryEvent Start { get; init; }

    /// <summary>The action that asks for a child; null where nobody waits for it.</summary>
    public int? ParentTask { get; init; }
    public DateTimeOffset? ScheduledAt { get; init; }
    public HistoryPropagationScope Propagation { get; init; }
}
