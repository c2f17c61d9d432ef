using System.Threading.Channels;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Attempts;

namespace RenderTrust.Scheduler.Jobs.Saga;

/// <summary>
/// Writes what a saga has to hear into the transaction that makes it true; <see cref="RelaySagaSignalsLoop"/> hands it over afterwards.
/// A row goes in the transaction of its effect, so that whatever is lost on the way is handed over again.
/// </summary>
internal static class SagaSignals
{
    // A job's end is settled already when its saga hears of it. By then the ledger has posted the last charges, and the saga need not ask twice.
    private static readonly TimeSpan EndedDelay = TimeSpan.FromSeconds(1);

    /// <summary>With the job's rows: from <paramref name="startAt"/> on its saga is started, unless it has something to hear before.</summary>
    public static void Expect(NpgsqlBatch batch, JobId jobId, DateTimeOffset startAt) =>
        batch.Add("INSERT INTO sagas (job_id, start_at) VALUES ($1, $2)", jobId.Value, startAt);

    /// <summary>The attempt failed or was lost. Adds what the tables know to what the caller knows.</summary>
    public static void UnitFailed(NpgsqlBatch batch, Attempt attempt, UnitFailure failure, DateTimeOffset now) =>
        batch.Add(
            """
            INSERT INTO saga_signals (signal_id, job_id, kind, body, due_at)
            SELECT $3, $1, 'unitFailed', $4 || jsonb_build_object(
                'lane', u.lane,
                'overflowAllowed', j.allow_overflow AND EXISTS (SELECT 1 FROM overflow_keys k WHERE k.recipient_key_id = ANY (j.recipients))), $5
            FROM jobs j JOIN units u USING (job_id) WHERE j.job_id = $1 AND u.unit_index = $2
            ON CONFLICT (signal_id) DO NOTHING
            """,
            attempt.JobId.Value, attempt.UnitIndex, FailedId(attempt.JobId, failure), JsonValue.Of(failure), now);

    /// <summary>The job has ended.</summary>
    public static void Ended(NpgsqlBatch batch, JobId jobId, DateTimeOffset now) =>
        batch.Add(
            "INSERT INTO saga_signals (signal_id, job_id, kind, body, due_at) VALUES ($2, $1, 'ended', '{}', $3) ON CONFLICT (signal_id) DO NOTHING",
            jobId.Value, $"{jobId}/ended", now + EndedDelay);

    /// <summary>The failure's effect is in the same transaction: it need not be told again.</summary>
    public static void Heard(NpgsqlBatch batch, JobId jobId, UnitFailure failure) =>
        batch.Add("DELETE FROM saga_signals WHERE signal_id = $1", FailedId(jobId, failure));

    /// <summary>An operator's signal, once the saga is parked again.</summary>
    public static void ResumedHeard(NpgsqlBatch batch, JobId jobId) =>
        batch.Add("DELETE FROM saga_signals WHERE job_id = $1 AND kind = 'resumed'", jobId.Value);

    /// <summary>The saga has done all it had to do.</summary>
    public static void AllHeard(NpgsqlBatch batch, JobId jobId) => batch.Add("DELETE FROM saga_signals WHERE job_id = $1", jobId.Value);

    private static string FailedId(JobId jobId, UnitFailure failure) => $"{jobId}/{failure.UnitIndex}/{failure.AttemptId}/failed";
}

/// <summary>Lets the relay look now: there are signals to hand over.</summary>
internal sealed class SagaWake
{
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public ChannelReader<bool> Signals => signal.Reader;

    public void Wake() => signal.Writer.TryWrite(true);
}
