using RenderTrust.Contracts;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

/// <summary>Where finished spans of jobs go: the scheduler's table, from elsewhere through the sidecar.</summary>
public interface ISpanSink
{
    Task WriteAsync(IReadOnlyList<JobSpan> spans, CancellationToken cancellationToken);
}

internal sealed class SchedulerSpanSink(AppInvoker apps) : ISpanSink
{
    public Task WriteAsync(IReadOnlyList<JobSpan> spans, CancellationToken cancellationToken) =>
        apps.PostAsync(Apps.Scheduler, "/internal/spans", new JobSpanBatch(spans), cancellationToken);
}
