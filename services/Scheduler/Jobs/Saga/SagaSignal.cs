namespace RenderTrust.Scheduler.Jobs.Saga;

internal enum SagaSignalKind
{
    /// <summary>A unit's attempt failed or was lost, and the unit is undecided.</summary>
    UnitFailed,

    /// <summary>The job has ended, however it did.</summary>
    Ended,

    /// <summary>An operator has mended what the saga was parked for.</summary>
    Resumed,
}

/// <summary>Something that a job's saga has to hear. The saga may hear it more than once; the id tells that it is the same.</summary>
/// <param name="Failure">Set for <see cref="SagaSignalKind.UnitFailed"/>.</param>
internal sealed record SagaSignal(string SignalId, SagaSignalKind Kind, UnitFailure? Failure = null);
