namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>Carries out the calls that a saga makes.</summary>
internal sealed class SagaSteps(IEnumerable<ISagaStep> steps)
{
    private readonly Dictionary<SagaStepName, ISagaStep> byName = steps.ToDictionary(step => step.Name);

    public async Task<StepOutcome> CallAsync(StepCall call, CancellationToken cancellationToken)
    {
        if (!call.Undo)
        {
            return await byName[call.Step].DoAsync(call, cancellationToken);
        }

        await byName[call.Step].UndoAsync(call, cancellationToken);
        return StepOutcome.Done;
    }

    public static void AddTo(IServiceCollection services)
    {
        services.AddSingleton<UndecidedUnits>();
        services.AddSingleton<ISagaStep, AwaitOutcomeStep>();
        services.AddSingleton<ISagaStep, RetryElsewhereStep>();
        services.AddSingleton<ISagaStep, OverflowStep>();
        services.AddSingleton<ISagaStep, SettleStep>();
        services.AddSingleton<ISagaStep, RefundStep>();
        services.AddSingleton<ISagaStep, RecordEvidenceStep>();
        services.AddSingleton<ISagaStep, ParkStep>();
        services.AddSingleton<SagaSteps>();
    }
}
