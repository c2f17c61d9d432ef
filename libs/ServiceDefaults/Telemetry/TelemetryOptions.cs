using System.ComponentModel.DataAnnotations;

namespace RenderTrust.ServiceDefaults;

/// <summary>What is kept of jobs' traces. Export by OTLP has OpenTelemetry's own environment variables instead.</summary>
public sealed class TelemetryOptions
{
    public const string Section = "Telemetry";

    /// <summary>Part of all jobs whose trace is kept, 0 to 1. Default 1. Counts at the gateway, where a job's trace begins.</summary>
    [Range(0, 1)]
    public double JobTraceRatio { get; set; } = 1;

    /// <summary>Milliseconds for which finished spans gather before they are handed over. Default 500.</summary>
    [Range(10, 60_000)]
    public int FlushMilliseconds { get; set; } = 500;
}
