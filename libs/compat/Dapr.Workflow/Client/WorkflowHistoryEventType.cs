namespace Dapr.Workflow.Client;

/// <summary>What a history entry tells. The names are older than the word workflow: an orchestration is one.</summary>
public enum WorkflowHistoryEventType
{
    /// <summary>Something that this version does not know.</summary>
    Unknown,

    /// <summary>The instance began.</summary>
    ExecutionStarted,

    /// <summary>The instance ended by itself.</summary>
    ExecutionCompleted,

    /// <summary>The instance was ended from outside.</summary>
    ExecutionTerminated,

    /// <summary>An activity was asked for.</summary>
    TaskScheduled,

    /// <summary>An activity gave its result.</summary>
    TaskCompleted,

    /// <summary>An activity failed.</summary>
    TaskFailed,

    /// <summary>A child was asked for.</summary>
    SubOrchestrationInstanceCreated,

    /// <summary>A child gave its result.</summary>
    SubOrchestrationInstanceCompleted,

    /// <summary>A child failed or was terminated.</summary>
    SubOrchestrationInstanceFailed,

    /// <summary>A timer was asked for.</summary>
    TimerCreated,

    /// <summary>A timer's time came.</summary>
    TimerFired,

    /// <summary>A turn began.</summary>
    OrchestratorStarted,

    /// <summary>A turn ended; Dapr does not write it.</summary>
    OrchestratorCompleted,

    /// <summary>The instance raised an event at another.</summary>
    EventSent,

    /// <summary>An event came in.</summary>
    EventRaised,

    /// <summary>Not written by Dapr.</summary>
    GenericEvent,

    /// <summary>Not written by Dapr.</summary>
    HistoryState,

    /// <summary>Not written by Dapr.</summary>
    ContinueAsNew,

    /// <summary>The instance was suspended.</summary>
    ExecutionSuspended,

    /// <summary>The instance was resumed.</summary>
    ExecutionResumed,

    /// <summary>No worker could go on with the instance.</summary>
    ExecutionStalled,
}
