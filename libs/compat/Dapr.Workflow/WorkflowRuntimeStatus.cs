namespace Dapr.Workflow;

/// <summary>Where an instance stands.</summary>
public enum WorkflowRuntimeStatus
{
    /// <summary>There is no such instance, or its status has no name here.</summary>
    Unknown = -1,

    /// <summary>At work or waiting.</summary>
    Running = 0,

    /// <summary>Ended with a result.</summary>
    Completed,

    /// <summary>Ended one generation; an instance never rests in it.</summary>
    ContinuedAsNew,

    /// <summary>Ended by an exception.</summary>
    Failed,

    /// <summary>Not used by the sidecar.</summary>
    Canceled,

    /// <summary>Ended from outside.</summary>
    Terminated,

    /// <summary>Accepted, not begun.</summary>
    Pending,

    /// <summary>Held from outside until it is resumed.</summary>
    Suspended,

    /// <summary>Held by the sidecar until a worker comes whose code fits the instance's history.</summary>
    Stalled = 8,
}
