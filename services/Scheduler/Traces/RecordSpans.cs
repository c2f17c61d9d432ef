using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Telemetry;

namespace RenderTrust.Scheduler.Traces;

/// <summary>Spans that other processes of the platform finished, and the sidecar.</summary>
internal static class RecordSpans
{
    private const int MostSpans = 5_000;

    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/spans", HandleAsync);

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(JobSpanBatch batch, SpanTable table, CancellationToken cancellationToken)
    {
        if (batch.Spans.Count > MostSpans)
        {
            return TypedResults.Problem($"The batch has {batch.Spans.Count} spans. Send at most {MostSpans} at once.", statusCode: StatusCodes.Status400BadRequest);
        }

        await table.WriteAsync(batch.Spans, cancellationToken);
        return TypedResults.NoContent();
    }
}
