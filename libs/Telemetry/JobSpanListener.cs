using System.Diagnostics;

namespace RenderTrust.Telemetry;

/// <summary>Which spans of ASP.NET Core a process has ears for.</summary>
public enum RequestSpans
{
    /// <summary>None: the process has spans of its own for requests, or no requests.</summary>
    None,

    /// <summary>Those that arrive as a job's.</summary>
    OfJobs,

    /// <summary>All, because whether a request is a job's shows only when it has been read. What turns out to be none is not kept.</summary>
    All,
}

/// <summary>
/// Hears every span that ends in this process and hands on those of jobs. What is no job's costs nothing: its activity is not even made for us.
/// A collector outside gets its spans by OTLP, beside this.
/// </summary>
public sealed class JobSpanListener : IDisposable
{
    private readonly ActivityListener listener;

    /// <param name="process">See <see cref="JobSpan.Of"/>.</param>
    /// <param name="take">Called as each span ends, on the thread that ended it; must not wait.</param>
    public JobSpanListener(string process, RequestSpans requests, Action<JobSpan> take)
    {
        listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == TelemetryNames.AspNetCore
                ? requests != RequestSpans.None
                : source.Name == TelemetryNames.Source || source.Name.StartsWith(TelemetryNames.SourcePrefix, StringComparison.Ordinal),
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                JobMark.TryRead(options.Parent.TraceState, out _) || (requests == RequestSpans.All && options.Source.Name == TelemetryNames.AspNetCore)
                    ? ActivitySamplingResult.AllDataAndRecorded
                    : ActivitySamplingResult.None,
            ActivityStopped = activity =>
            {
                if (JobMark.TryRead(activity.TraceStateString, out var mark))
                {
                    take(JobSpan.Of(activity, mark, process));
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
    }

    public void Dispose() => listener.Dispose();
}
