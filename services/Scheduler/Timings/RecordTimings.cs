using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Timings;

/// <summary>Budget figures that the gateway measured.</summary>
internal static class RecordTimings
{
    private const int LongestName = 50;

    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/timings", Handle);

    private static NoContent Handle(TimingBatch batch, TimingLog log)
    {
        foreach (var timing in batch.Timings.Where(timing => double.IsFinite(timing.Milliseconds) && timing.Name.Length is > 0 and <= LongestName))
        {
            log.Add(timing);
        }

        return TypedResults.NoContent();
    }
}
