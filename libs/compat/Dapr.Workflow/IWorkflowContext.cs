namespace Dapr.Workflow;

/// <summary>The part of a workflow's context that asks for nothing.</summary>
public interface IWorkflowContext
{
    /// <summary>True while the code passes over what happened in earlier turns.</summary>
    bool IsReplaying { get; }

    /// <summary>The time at which the current turn began, UTC; the same in every replay.</summary>
    DateTime CurrentUtcDateTime { get; }

    /// <summary>
    /// True if this instance may take the new path called <paramref name="patchName"/>: its history took it before, or this point is reached for
    /// the first time. An instance that passed here before the patch existed gets false for ever.
    /// </summary>
    bool IsPatched(string patchName);
}
