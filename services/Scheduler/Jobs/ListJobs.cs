using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>The caller's jobs, newest first, in pages.</summary>
internal sealed class ListJobs(NpgsqlDataSource dataSource)
{
    private const int PageSize = 50;

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/jobs", HandleAsync);

    private static async Task<Results<Ok<JobList>, ProblemHttpResult>> HandleAsync(string? cursor, ClaimsPrincipal user, ListJobs list, CancellationToken cancellationToken)
    {
        JobId? before = null;
        if (!string.IsNullOrEmpty(cursor))
        {
            if (!JobId.TryParse(cursor, null, out var id))
            {
                return TypedResults.Problem($"Cursor '{cursor}' is not one of ours. Send nextCursor of the last page, or none.", statusCode: StatusCodes.Status400BadRequest);
            }

            before = id;
        }

        return TypedResults.Ok(await list.ReadAsync(user.TenantId(), before, cancellationToken));
    }

    private async Task<JobList> ReadAsync(TenantId tenantId, JobId? before, CancellationToken cancellationToken)
    {
        await using var command = dataSource.Command(
            """
            SELECT client_job_id, task_id, module_name || '@' || module_version, status, reason, unit_count, units_completed, units_failed, submitted_at, ended_at,
                charged_microcredits, price_microcredits, last_seq
            FROM jobs
            WHERE tenant_id = $1
                AND ($2 IS NULL OR (submitted_at, job_id) < (SELECT submitted_at, job_id FROM jobs WHERE job_id = $2 AND tenant_id = $1))
            ORDER BY submitted_at DESC, job_id DESC LIMIT $3
            """,
            tenantId.Value, new TypedValue(before is { } last ? TaskIds.KeyOf(tenantId, last).Value : null, NpgsqlDbType.Uuid), PageSize + 1);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var jobs = new List<JobListItem>();
        while (await reader.ReadAsync(cancellationToken))
        {
            jobs.Add(new JobListItem(
                new(reader.GetGuid(0)), new(reader.GetGuid(1)), reader.GetString(2), SqlNames.Parse<JobStatus>(reader.GetString(3)), reader.Text(4),
                reader.GetInt32(5), reader.GetInt32(6), reader.GetInt32(7), reader.Instant(8), reader.Time(9), reader.GetInt64(10), reader.GetInt64(11), reader.GetInt64(12)));
        }

        var more = jobs.Count > PageSize;
        if (more)
        {
            jobs.RemoveAt(PageSize);
        }

        return new JobList(jobs, more ? jobs[^1].JobId.ToString() : null);
    }
}
