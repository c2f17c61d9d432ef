using RenderTrust.TaskHubProtocol;

namespace RenderTrust.Sidecar.Workflows;

/// <summary>What a turn is decided on: values only.</summary>
internal sealed record TurnInput
{
    public required InstanceRecord Record { get; init; }
    public required IReadOnlyList<HistoryEvent> History { get; init; }
    public required IReadOnlyList<HistoryEvent> NewEvents { get; init; }
    public required WorkflowResponse Response { get; init; }
    public required DateTimeOffset Now { get; init; }

    /// <summary>Says whether an app is one that work can be given to from here.</summary>
    public required Func<string, bool> IsReachable { get; init; }
}

internal enum TurnKind
{
    /// <summary>The instance waits for what it has asked for.</summary>
    Goes = 0,
    Ended = 1,
    ContinuedAsNew = 2,

    /// <summary>Nothing of the turn counts; it is held until a worker comes that can do it.</summary>
    Stalled = 3,
}

/// <summary>What a turn came to. Everything in it takes effect together or not at all.</summary>
internal sealed record TurnOutcome
{
    public required TurnKind Kind { get; init; }

    /// <summary>What the history grows by.</summary>
    public IReadOnlyList<HistoryEvent> Events { get; init; } = [];

    /// <summary>What the next generation begins with.</summary>
    public IReadOnlyList<HistoryEvent> NextStart { get; init; } = [];
    public HistoryEvent? Completed { get; init; }
    public HistoryEvent? Stalled { get; init; }
    public string? CustomStatus { get; init; }
    public IReadOnlyList<Beginning> Beginnings { get; init; } = [];
    public IReadOnlyList<Outgoing> Outgoing { get; init; } = [];

    /// <summary>Answers that the engine itself gives to this instance, such as "no such app".</summary>
    public IReadOnlyList<HistoryEvent> OwnAnswers { get; init; } = [];

    /// <summary>Told to every child that has not ended.</summary>
    public HistoryEvent? ChildrenTerminated { get; init; }

    /// <summary>Actions that mean nothing to us, in words for the log.</summary>
    public IReadOnlyList<string> Ignored { get; init; } = [];
}
