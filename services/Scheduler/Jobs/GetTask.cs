using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Jobs;

/// <summary>The whole log of one task, for the gateway.</summary>
internal static class GetTask
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/internal/tasks/{taskId}", HandleAsync);

    private static async Task<Results<Ok<TaskLog>, ProblemHttpResult>> HandleAsync(TaskId taskId, TenantId tenantId, JobLog log, CancellationToken cancellationToken) =>
        await log.FindAsync(taskId, tenantId, cancellationToken) is { } task
            ? TypedResults.Ok(task)
            : TypedResults.Problem($"There is no task {taskId}.", statusCode: StatusCodes.Status404NotFound);
}
