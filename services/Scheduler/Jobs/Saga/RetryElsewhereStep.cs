namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>The unit waits for another node; those on which it failed are kept out by its attempts. Undo takes it back from wherever it went.</summary>
internal sealed class RetryElsewhereStep(UndecidedUnits units) : ISagaStep
{
    public SagaStepName Name => SagaStepName.RetryElsewhere;

    // In the lane where it was: a unit that an overflow node lost does not come back to the fleet.
    public Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken) => units.ReturnAsync(call, lane: null, mayReturn: null, cancellationToken);

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => units.WithdrawAsync(call, call.Failure!.Lane, cancellationToken);
}
