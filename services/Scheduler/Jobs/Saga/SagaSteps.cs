using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>Carries out the calls that a saga makes.</summary>
internal sealed class SagaSteps(IEnumerable<ISagaStep> steps, NpgsqlDataSource dataSource)
{
    private readonly Dictionary<SagaStepName, ISagaStep> byName = steps.ToDictionary(step => step.Name);

    public async Task<StepOutcome> CallAsync(StepCall call, CancellationToken cancellationToken)
    {
        using var span = JobActivities.Begin(call.Undo ? $"saga: undo {call.Step}" : $"saga: {call.Step}", await TraceOfAsync(call.JobId, cancellationToken));
        span?.SetTag(TelemetryNames.UnitIndex, call.Failure?.UnitIndex);
        if (!call.Undo)
        {
            var outcome = await byName[call.Step].DoAsync(call, cancellationToken);
            span?.SetTag(TelemetryNames.Outcome, outcome.ToString());
            return outcome;
        }

        await byName[call.Step].UndoAsync(call, cancellationToken);
        return StepOutcome.Done;
    }

    private async Task<JobTraceRoot?> TraceOfAsync(JobId jobId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command("SELECT client_job_id, tenant_id, trace_parent FROM jobs WHERE job_id = $1 AND trace_parent IS NOT NULL", jobId.Value);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new JobTraceRoot(new JobMark(reader.GetGuid(0), reader.GetGuid(1)), reader.GetString(2)) : null;
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
