namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// Fails the job with its cause and closes its hold; completed units stay, and stay charged. A job ends once, so a repeat finds it ended.
/// There is nothing to undo: this is what undoes the rest.
/// </summary>
internal sealed class RefundStep(EndJob endJob) : ISagaStep
{
    public SagaStepName Name => SagaStepName.Refund;

    public async Task<StepOutcome> DoAsync(StepCall call, CancellationToken cancellationToken) =>
        await endJob.FailAsync(call.JobId, call.Cause!, call.Failure?.UnitIndex, cancellationToken) ? StepOutcome.Done : StepOutcome.AlreadyDone;

    public Task UndoAsync(StepCall call, CancellationToken cancellationToken) => Task.CompletedTask;
}
