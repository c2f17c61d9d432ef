namespace RenderTrust.Telemetry;

/// <summary>Names that are on the wire or in an operator's queries.</summary>
public static class TelemetryNames
{
    /// <summary>Activity source of what every service does alike; its spans are shown under the process.</summary>
    public const string Source = "RenderTrust";

    /// <summary>Our other activity sources begin with it; the rest names the service that a span is shown under.</summary>
    public const string SourcePrefix = "RenderTrust.";

    /// <summary>Our span attributes begin with it.</summary>
    public const string AttributePrefix = "rendertrust.";

    /// <summary>The meter of everything that the platform itself measures.</summary>
    public const string Meter = "RenderTrust";

    public const string UnitIndex = "rendertrust.unit.index";
    public const string AttemptNumber = "rendertrust.attempt.number";
    public const string AttemptId = "rendertrust.attempt.id";
    public const string NodeId = "rendertrust.node.id";
    public const string Outcome = "rendertrust.outcome";
    public const string UnitCount = "rendertrust.unit.count";
    public const string Bytes = "rendertrust.bytes";
    public const string Count = "rendertrust.count";

    internal const string AspNetCore = "Microsoft.AspNetCore";

    internal static string? ServiceOf(string source) =>
        source.StartsWith(SourcePrefix, StringComparison.Ordinal) ? source[SourcePrefix.Length..].ToLowerInvariant() : null;
}
