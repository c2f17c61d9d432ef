using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs.Saga;

internal enum SagaStepName
{
    AwaitOutcome,
    RetryElsewhere,
    Overflow,
    Settle,
    Refund,
    RecordEvidence,

    /// <summary>Not a step of the job: leaves the saga to an operator.</summary>
    Park,
}

/// <summary>One do or undo of a step. Everything in it is known before it is made, so that a repeat is the same call.</summary>
/// <param name="Failure">The failure that is acted on; null when the step is about the whole job.</param>
/// <param name="Cause">Why the job fails (Refund), or why a step is parked (Park).</param>
internal sealed record StepCall(SagaStepName Step, JobId JobId, UnitFailure? Failure = null, string? Cause = null, bool Undo = false)
{
    /// <summary>The key of the effect: job/unit/attempt/step.</summary>
    public string Key => Failure is { } failure ? $"{JobId}/{failure.UnitIndex}/{failure.AttemptId}/{Step}" : $"{JobId}/{Step}";
}

internal enum StepOutcome
{
    Done,

    /// <summary>Done before, or the world has moved on past it.</summary>
    AlreadyDone,
    JobEnded,
    NotAllowed,

    /// <summary>Nothing failed, but something is still to come: ask again.</summary>
    NotYet,
}

/// <summary>
/// A step of the job saga. Knows no engine. Do and undo may each be called again after they took effect, and undo also when do did not;
/// both end in one transaction under the job's lock.
/// </summary>
internal interface ISagaStep
{
    SagaStepName Name { get; }

    Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken);

    Task UndoAsync(StepCall call, CancellationToken cancellationToken);
}
