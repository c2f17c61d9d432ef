using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>Cancels a job: no unit is leased any more, running ones are revoked and not paid, completed ones stay, the rest of the hold is released.</summary>
internal sealed class CancelTask(NpgsqlDataSource dataSource, EndJob endJob, JobLog log)
{
    private const int LongestReason = 500;

    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/tasks/{taskId}/cancel", HandleAsync);

    private static async Task<Ok<CancelTaskResponse>> HandleAsync(TaskId taskId, CancelTaskRequest request, CancelTask cancel, CancellationToken cancellationToken) =>
        TypedResults.Ok(await cancel.CancelAsync(taskId, request, cancellationToken));

    public async Task<CancelTaskResponse> CancelAsync(TaskId taskId, CancelTaskRequest request, CancellationToken cancellationToken)
    {
        JobId jobId;
        await using (var find = dataSource.Command("SELECT job_id FROM jobs WHERE task_id = $1 AND tenant_id = $2", taskId.Value, request.TenantId.Value))
        {
            if (await find.ExecuteScalarAsync(cancellationToken) is not Guid found)
            {
                return new CancelTaskResponse(CancelOutcome.UnknownTask, null);
            }

            jobId = new(found);
        }

        var reason = string.IsNullOrWhiteSpace(request.Reason) ? "Canceled by the creator." : request.Reason[..Math.Min(request.Reason.Length, LongestReason)];
        var canceled = await endJob.CancelAsync(jobId, reason, cancellationToken);
        return new CancelTaskResponse(
            canceled ? CancelOutcome.Canceled : CancelOutcome.AlreadyEnded, await log.FindAsync(taskId, request.TenantId, cancellationToken));
    }
}
