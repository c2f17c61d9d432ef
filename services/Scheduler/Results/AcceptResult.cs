using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.Scheduler.Attempts;
using RenderTrust.Scheduler.Events;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Jobs.Saga;
using RenderTrust.Scheduler.Nodes;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Supervision;
using RenderTrust.Scheduler.Timings;
using RenderTrust.Scheduler.Traces;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Results;

/// <summary>
/// Takes a unit's result: checks the token, captures the charge, counts, records, and ends the job with its last unit; all in one transaction
/// under the job's lock. Idempotent by attempt: who reports twice hears that it was accepted already.
/// </summary>
internal sealed partial class AcceptResult(
    NpgsqlDataSource dataSource, Fleet fleet, FailAttempt failures, EndJob endJob, PlacerWake placer, SupervisorWake supervisor, SagaWake sagas, JobEventSignal events,
    Outbox outbox, TimingLog timings, JobActivities activities, JobSpanQueue spans,
    TimeProvider time, IOptions<SchedulerOptions> options, ILogger<AcceptResult> logger)
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/results", HandleAsync);

    private static async Task<Results<Ok<UnitResultResponse>, ValidationProblem>> HandleAsync(
        UnitResultReport report, AcceptResult accept, CancellationToken cancellationToken)
    {
        if (report.MeteredMilliseconds < 0)
        {
            return TypedResults.ValidationProblem(new Dictionary<string, string[]>
            {
                ["meteredMilliseconds"] = [$"{report.MeteredMilliseconds} is negative. Report the device milliseconds that the unit took."],
            });
        }

        return TypedResults.Ok(await accept.AcceptAsync(report, cancellationToken));
    }

    public async Task<UnitResultResponse> AcceptAsync(UnitResultReport report, CancellationToken cancellationToken)
    {
        using var span = JobActivities.Begin("accept result");
        var response = await DecideAsync(report, cancellationToken);
        span?.SetTag(TelemetryNames.Outcome, response.Outcome.ToString());
        LogDecided(logger, report.AttemptId, report.NodeId, report.Succeeded, response.Outcome);
        return response;
    }

    private async Task<UnitResultResponse> DecideAsync(UnitResultReport report, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await Attempt.LockAsync(connection, report.AttemptId, cancellationToken) is not { } found)
        {
            return ResultRules.Unknown(report);
        }

        var (job, attempt) = found;
        if (ResultRules.Refuse(report, job, attempt) is { } refusal)
        {
            if (attempt.NodeId == report.NodeId && attempt.FencingToken == report.FencingToken && attempt.Status is AttemptStatus.Revoking or AttemptStatus.Lost)
            {
                await ConfirmStoppedAsync(connection, transaction, attempt);
            }

            return refusal;
        }

        var now = time.GetUtcNow();
        var metered = ResultRules.Metered(report.MeteredMilliseconds, now - attempt.LeasedAt, job.MaxUnitDeviceSeconds);
        await using var batch = new NpgsqlBatch(connection, transaction);
        if (attempt.Status == AttemptStatus.Offered)
        {
            // The result overtook the acknowledgement: the log still tells both, in order.
            AttemptTransitions.Acknowledge(batch, job, attempt, now);
        }

        var ended = false;
        if (report is { Succeeded: true, Outputs.Count: > 0 })
        {
            Failpoint.Hit("scheduler.result.beforeCapture");
            var capture = await CaptureAsync(connection, job, attempt, metered, cancellationToken);
            Failpoint.Hit("scheduler.result.afterCapture");
            if (capture.Outcome is not ("captured" or "alreadyCaptured"))
            {
                await transaction.RollbackAsync(cancellationToken);
                var reason = $"Unit {attempt.UnitIndex} could not be settled: the ledger answered {capture.Outcome} for the job's hold.";
                LogNotCaptured(logger, job.JobId, attempt.AttemptId, capture.Outcome);
                await endJob.FailAsync(job.JobId, reason, cancellationToken);
                return new UnitResultResponse(ResultOutcome.JobEnded, reason);
            }

            ended = Complete(batch, report, job, attempt, metered, capture, now);
        }
        else
        {
            await failures.AddAsync(batch, job, attempt, FailureOf(report, attempt, metered), now, cancellationToken);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        Failpoint.Hit("scheduler.result.beforeCommit");
        if (ended)
        {
            Failpoint.Hit("scheduler.close.beforeCommit");
        }

        // Not the caller's token: money moves with this commit, and its outcome must be learnt.
        await transaction.CommitAsync(CancellationToken.None);
        Failpoint.Hit("scheduler.result.afterCommit");
        KeepSpans(report, job, attempt);
        Announce(attempt, report.Succeeded && report.Outputs.Count > 0, ended);
        return new UnitResultResponse(ResultOutcome.Accepted, null);
    }

    private async Task<Capture> CaptureAsync(NpgsqlConnection connection, Job job, Attempt attempt, long metered, CancellationToken cancellationToken)
    {
        // An organisation's own node earns nothing from its own jobs.
        var nodeRate = attempt.NodeOwner == job.TenantId ? 0 : options.Value.NodeRate(job.DeviceKind);
        var started = time.GetTimestamp();
        using var span = JobActivities.BeginLedger("capture unit");
        Capture capture;
        await using (var command = connection.Command(
            "SELECT outcome, charge, node_share FROM ledger.capture_unit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            job.JobId.Value, $"{job.JobId}/{attempt.UnitIndex}/{attempt.AttemptId}/settle", attempt.UnitIndex, attempt.AttemptId.Value, metered,
            job.RatePerMinuteMicrocredits, nodeRate, attempt.NodeOwner.Value, job.DeveloperTenantId.Value, job.ModuleName))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            capture = new Capture(reader.GetString(0), reader.Long(1) ?? 0, reader.Long(2) ?? 0);
        }

        timings.Add(job.TaskId, "ledgerHandover", attempt.UnitIndex, time.GetElapsedTime(started).TotalMilliseconds);
        return capture;
    }

    private static AttemptFailure FailureOf(UnitResultReport report, Attempt attempt, long metered)
    {
        var failureClass = report.Succeeded ? "no_output" : report.FailureClass ?? "internal";
        var cause = report.Succeeded ? "the node reported success without an output" : report.FailureReason ?? "the node gave no reason";
        return new AttemptFailure(AttemptStatus.Failed, metered, failureClass, $"Unit {attempt.UnitIndex} failed on {attempt.NodeName} ({failureClass}): {cause}");
    }

    /// <returns>True when this was the job's last unit.</returns>
    private static bool Complete(NpgsqlBatch batch, UnitResultReport report, Job job, Attempt attempt, long metered, Capture capture, DateTimeOffset now)
    {
        AttemptTransitions.Complete(batch, attempt, metered, capture.Charge, capture.NodeShare, now);
        var completed = job.UnitsCompleted + 1;
        JobTransitions.CompleteUnit(
            batch, job, attempt.UnitIndex, metered,
            AttemptTransitions.Body(job, attempt) with
            {
                UnitsCompleted = completed, ChargedMicrocredits = capture.Charge, Outputs = report.Outputs, ResultReceivedAt = report.ReceivedAt,
            },
            now);
        if (completed < job.UnitCount)
        {
            return false;
        }

        JobTransitions.End(batch, job, JobStatus.Completed, $"All {job.UnitCount} units completed.", now);
        return true;
    }

    /// <summary>What the node did, into the trace of the job whose unit it had: a node cannot name another.</summary>
    private void KeepSpans(UnitResultReport report, Job job, Attempt attempt)
    {
        if (job.Trace is not { } trace || report.Spans is not { Count: > 0 } reported || !activities.Traces(attempt.UnitIndex))
        {
            return;
        }

        var traceId = trace.Mark.Parent(trace.Parent)?.TraceId.ToHexString() ?? "";
        foreach (var span in reported)
        {
            spans.Add(new JobSpan(
                trace.Mark.JobId, trace.Mark.TenantId, traceId, span.SpanId, span.ParentSpanId, "agent", span.Name, span.StartedAt, span.DurationMs, span.Failed,
                span.Attributes ?? new Dictionary<string, string>()));
        }
    }

    private async Task ConfirmStoppedAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, Attempt attempt)
    {
        // A result, even a late one, says that the attempt has ended: its slot is free.
        await using var batch = new NpgsqlBatch(connection, transaction);
        AttemptTransitions.ConfirmStopped(batch, attempt.AttemptId, time.GetUtcNow());
        await batch.ExecuteNonQueryAsync(CancellationToken.None);
        await transaction.CommitAsync(CancellationToken.None);
        fleet.Release(attempt.NodeId, attempt.Slot);
        placer.CapacityChanged();
    }

    private void Announce(Attempt attempt, bool succeeded, bool jobEnded)
    {
        events.Raise();
        fleet.Release(attempt.NodeId, attempt.Slot);
        placer.CapacityChanged();
        if (!succeeded)
        {
            sagas.Wake();
        }

        if (jobEnded)
        {
            Failpoint.Hit("scheduler.close.afterCommit");
            outbox.Wake();
            supervisor.Wake();
        }
    }

    private sealed record Capture(string Outcome, long Charge, long NodeShare);

    [LoggerMessage(LogLevel.Information, "Result of attempt {AttemptId} from node {NodeId} (succeeded: {Succeeded}): {Outcome}")]
    private static partial void LogDecided(ILogger logger, AttemptId attemptId, NodeId nodeId, bool succeeded, ResultOutcome outcome);

    [LoggerMessage(LogLevel.Error, "Job {JobId} attempt {AttemptId}: the ledger did not capture ({Outcome}); the job fails")]
    private static partial void LogNotCaptured(ILogger logger, JobId jobId, AttemptId attemptId, string outcome);
}
