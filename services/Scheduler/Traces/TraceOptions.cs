using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Scheduler.Traces;

/// <summary>How much is kept of jobs' traces. Which jobs have one is decided at the gateway (<c>Telemetry:JobTraceRatio</c>).</summary>
internal sealed class TraceOptions
{
    public const string Section = "Scheduler:Traces";

    /// <value>Units of a job that are traced, by index from 0. Default 50: those of a large job look alike. At most 1000.</value>
    [Range(0, 1000)]
    public int Units { get; set; } = 50;

    /// <value>Hours after which spans are removed. Default 168, a week.</value>
    [Range(1, 8_760)]
    public int KeepHours { get; set; } = 168;

    /// <value>Most spans in the table; above it the oldest go first. Default two million, about 1 GB.</value>
    [Range(1_000, 1_000_000_000)]
    public long MostSpans { get; set; } = 2_000_000;

    /// <value>Minutes between two looks for what is to be removed. Default 10.</value>
    [Range(0.01, 1_440)]
    public double PruneMinutes { get; set; } = 10;
}
