using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>A page of a job's units by index, each with its newest attempt; on wish only those in one status.</summary>
internal static class ListUnits
{
    public const int MostUnits = 500;

    private static readonly string[] Statuses = ["pending", "leased", "completed", "failed", "canceled"];

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs/{jobId}/units", HandleAsync);

    private static async Task<Results<Ok<UnitPage>, ProblemHttpResult>> HandleAsync(
        JobId jobId, int? from, int? count, string? status, ClaimsPrincipal user, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        if (status is not null && !Statuses.Contains(status, StringComparer.Ordinal))
        {
            return TypedResults.Problem($"Query parameter status is '{status}'. Known are: {string.Join(", ", Statuses)}.", statusCode: StatusCodes.Status400BadRequest);
        }

        return await ReadAsync(TaskIds.KeyOf(user.TenantId(), jobId), user.TenantId(), Math.Max(0, from ?? 0), Math.Clamp(count ?? 100, 1, MostUnits), status, dataSource, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : GetJob.Unknown(jobId);
    }

    private static async Task<UnitPage?> ReadAsync(
        JobId key, TenantId tenant, int from, int count, string? status, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // One snapshot: the number of the last event says exactly which news the rows hold.
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.Add("SELECT last_seq FROM jobs WHERE job_id = $1 AND tenant_id = $2", key.Value, tenant.Value);
        batch.Add(
            """
            SELECT u.unit_index, u.status, coalesce(u.reason, p.parked_reason), u.attempt_count, a.attempt_id, a.number, a.node_id, a.name, a.status, a.failure_class,
                a.reason, a.progress, a.metered_ms, a.charge_microcredits, a.leased_at, a.ended_at
            FROM units u LEFT JOIN pending_units p USING (job_id, unit_index)
            LEFT JOIN LATERAL (
                SELECT t.*, n.name FROM attempts t JOIN nodes n USING (node_id)
                WHERE t.job_id = u.job_id AND t.unit_index = u.unit_index ORDER BY t.number DESC LIMIT 1) a ON true
            WHERE u.job_id = $1 AND u.unit_index >= $2 AND ($4::text IS NULL OR u.status = $4)
            ORDER BY u.unit_index LIMIT $3
            """,
            key.Value, from, count + 1, new TypedValue(status, NpgsqlDbType.Text));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        var lastSeq = reader.GetInt64(0);
        await reader.NextResultAsync(cancellationToken);
        var units = new List<UnitRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            units.Add(new UnitRow(reader.GetInt32(0), reader.GetString(1), reader.Text(2), reader.GetInt32(3), reader.IsNull(4) ? null : ReadAttempt(reader)));
        }

        int? next = units.Count > count ? units[count].UnitIndex : null;
        return new UnitPage(units.Count > count ? units[..count] : units, next, lastSeq);
    }

    private static UnitAttempt ReadAttempt(NpgsqlDataReader reader) => new(
        new(reader.GetGuid(4)), reader.GetInt32(5), new(reader.GetGuid(6)), reader.GetString(7), reader.GetString(8), reader.Text(9),
        reader.Text(10), reader.Double(11), reader.Long(12), reader.Long(13), reader.Instant(14), reader.Time(15));
}
