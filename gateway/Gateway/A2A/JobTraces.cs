using System.Buffers.Binary;
using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;
using RenderTrust.Telemetry;

namespace RenderTrust.Gateway.A2A;

/// <summary>
/// Where a job's trace begins on the platform: once it is known whose job a request brings, the request's trace is marked as that job's, and everything that
/// follows from it carries the mark on. The trace id is the client's if it sent one.
/// </summary>
internal sealed class JobTraces(IOptions<TelemetryOptions> options)
{
    private static readonly ActivitySource Source = new(TelemetryNames.SourcePrefix + "Gateway");

    /// <summary>Marks the request and begins the span of the submission; null when this job's trace is not kept.</summary>
    public Activity? Begin(HttpContext http, JobSpec spec, TenantId tenant)
    {
        if (http.Features.Get<IHttpActivityFeature>()?.Activity is not { } request || !IsKept(request.TraceId))
        {
            return null;
        }

        request.TraceStateString = new JobMark(spec.JobId.Value, tenant.Value).AddTo(request.TraceStateString);
        return Source.StartActivity("submit job")?.SetTag(TelemetryNames.UnitCount, spec.UnitCount);
    }

    /// <summary>By the trace's own random bits, so that a repeat of the same submission comes out the same.</summary>
    private bool IsKept(ActivityTraceId traceId)
    {
        Span<byte> bytes = stackalloc byte[16];
        traceId.CopyTo(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]) / (double)ulong.MaxValue < options.Value.JobTraceRatio || options.Value.JobTraceRatio >= 1;
    }
}
