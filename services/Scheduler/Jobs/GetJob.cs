using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Placement;
using RenderTrust.Scheduler.Timings;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Everything that explains one job and its cost: units, attempts and why each node, money, budget figures.</summary>
internal sealed class GetJob(NpgsqlDataSource dataSource, TimingLog timings)
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}", HandleAsync);

    private static async Task<Results<Ok<JobSummary>, ProblemHttpResult>> HandleAsync(JobId jobId, string? units, ClaimsPrincipal user, GetJob jobs, CancellationToken cancellationToken)
    {
        if (units is not (null or "all" or "none"))
        {
            return TypedResults.Problem($"Query parameter units is '{units}'. Known are: all, none.", statusCode: StatusCodes.Status400BadRequest);
        }

        return await jobs.FindAsync(jobId, user.TenantId(), withUnits: units != "none", cancellationToken) is { } summary ? TypedResults.Ok(summary) : Unknown(jobId);
    }

    /// <summary>For a job that does not exist and for another tenant's alike.</summary>
    internal static ProblemHttpResult Unknown(JobId jobId) => TypedResults.Problem($"There is no job {jobId}.", statusCode: StatusCodes.Status404NotFound);

    /// <param name="withUnits">A job may have 100,000 of them; who only wants the whole picture leaves them out.</param>
    public async Task<JobSummary?> FindAsync(JobId jobId, TenantId tenantId, bool withUnits, CancellationToken cancellationToken)
    {
        await timings.FlushAsync(cancellationToken);
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // One snapshot for all: the counts agree with the units and the money with both.
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        AddQueries(batch, TaskIds.KeyOf(tenantId, jobId), tenantId, withUnits);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var job = Job.Read(reader);
        var lastSeq = reader.GetInt64(reader.GetOrdinal("last_seq"));
        await reader.NextResultAsync(cancellationToken);
        var waiting = await reader.ReadAsync(cancellationToken) ? reader.Text(0) : null;
        await reader.NextResultAsync(cancellationToken);
        var money = await ReadMoneyAsync(reader, cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        var figures = new List<TimingSummary>();
        while (await reader.ReadAsync(cancellationToken))
        {
            figures.Add(new TimingSummary(reader.GetString(0), reader.GetInt32(1), reader.GetDouble(2), reader.GetDouble(3), reader.GetDouble(4)));
        }

        var units = withUnits ? await ReadUnitsAsync(reader, cancellationToken) : [];
        return new JobSummary(
            job.ClientJobId, job.TaskId, job.Module, job.Status, job.Reason ?? waiting, job.UnitCount, job.UnitsCompleted, job.UnitsFailed, job.SubmittedAt, job.EndedAt,
            money, units, figures, job.DeadlineAt, job.PriceMicrocredits, lastSeq);
    }

    private static void AddQueries(NpgsqlBatch batch, JobId jobId, TenantId tenantId, bool withUnits)
    {
        batch.Add($"SELECT {Job.Columns}, last_seq FROM jobs WHERE job_id = $1 AND tenant_id = $2", jobId.Value, tenantId.Value);
        batch.Add("SELECT parked_reason FROM pending_units WHERE job_id = $1 AND parked_reason IS NOT NULL ORDER BY unit_index LIMIT 1", jobId.Value);
        batch.Add("SELECT held, captured, released, node, developer, platform, closed FROM ledger.hold_money_v1($1)", jobId.Value);
        batch.Add(
            """
            SELECT t.name, count(*)::int, percentile_cont(0.5) WITHIN GROUP (ORDER BY t.milliseconds),
                percentile_cont(0.95) WITHIN GROUP (ORDER BY t.milliseconds), max(t.milliseconds)
            FROM timings t JOIN jobs j USING (task_id) WHERE j.job_id = $1 GROUP BY t.name ORDER BY t.name
            """,
            jobId.Value);
        if (withUnits)
        {
            batch.Add("SELECT unit_index, status FROM units WHERE job_id = $1 ORDER BY unit_index", jobId.Value);
            batch.Add($"{AttemptQuery} WHERE a.job_id = $1 ORDER BY a.unit_index, a.number", jobId.Value);
        }
    }

    private static async Task<IReadOnlyList<UnitSummary>> ReadUnitsAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        await reader.NextResultAsync(cancellationToken);
        var units = new SortedDictionary<int, (string Status, List<AttemptSummary> Attempts)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            units[reader.GetInt32(0)] = (reader.GetString(1), []);
        }

        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            units[reader.GetInt32(0)].Attempts.Add(ReadAttempt(reader));
        }

        return [.. units.Select(unit => new UnitSummary(unit.Key, unit.Value.Status, unit.Value.Attempts))];
    }

    internal const string AttemptQuery =
        """
        SELECT a.unit_index, a.attempt_id, a.number, a.node_id, n.name, n.capabilities ->> 'runner', a.status, a.failure_class, a.reason,
            a.metered_ms, a.leased_at, a.ended_at, d.trace::text
        FROM attempts a JOIN nodes n USING (node_id) JOIN placement_decisions d USING (attempt_id)
        """;

    /// <summary>A row of <see cref="AttemptQuery"/>.</summary>
    internal static AttemptSummary ReadAttempt(NpgsqlDataReader reader) => new(
        new(reader.GetGuid(1)), reader.GetInt32(2), new(reader.GetGuid(3)), reader.GetString(4), reader.Text(5) ?? "unknown", reader.GetString(6),
        reader.Text(7), reader.Text(8), reader.Long(9), reader.Instant(10), reader.Time(11),
        OwnBusiness(reader.Json<PlacementDecision>(12)!));

    /// <summary>The trace without the nodes that the job was not sealed to: how they do is their owners' business.</summary>
    private static PlacementDecision OwnBusiness(PlacementDecision decision) =>
        decision with { Candidates = [.. decision.Candidates.Where(candidate => candidate.RefusedBecause != PlacementRules.NoKey)] };

    private static async Task<JobMoney> ReadMoneyAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        if (!await reader.ReadAsync(cancellationToken) || reader.IsNull(0))
        {
            throw new InvalidOperationException("A job has no hold, although both are made in one transaction.");
        }

        return new JobMoney(
            reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetBoolean(6));
    }
}
