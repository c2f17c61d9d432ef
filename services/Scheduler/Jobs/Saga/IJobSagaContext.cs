namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>What the saga may ask of its durable engine. Every answer is recorded, so that the saga's code can be run again to where it was.</summary>
internal interface IJobSagaContext
{
    /// <summary>Does or undoes a step, again and again for a while if it fails.</summary>
    /// <exception cref="StepFailedException">It failed every time. It may have taken effect all the same.</exception>
    Task<StepOutcome> CallAsync(StepCall call);

    Task<SagaSignal> NextSignalAsync();

    Task DelayAsync(TimeSpan delay);

    /// <summary>True for sagas that have not passed this place yet when the patch came; a change of the order of calls goes behind it.</summary>
    bool IsPatched(string patch);

    /// <summary>Ends this run and begins another with an empty history.</summary>
    /// <param name="keepSignals">False drops those not yet taken: what still matters is handed over again.</param>
    void ContinueAsNew(JobSagaState state, bool keepSignals);
}

/// <summary>A step failed for as long as it was tried.</summary>
internal sealed class StepFailedException(StepCall call, string reason) : Exception($"{(call.Undo ? "Undoing step" : "Step")} {call.Key} failed: {reason}")
{
    public string Reason { get; } = reason;
}
