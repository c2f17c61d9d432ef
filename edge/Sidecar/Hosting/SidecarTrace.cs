using System.Diagnostics;
using RenderTrust.Telemetry;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>
/// The sidecar's own spans, between the caller's and the callee's as with daprd. They are made only where someone keeps them: calls that belong to no job
/// pass through with the headers that they came with.
/// </summary>
internal static class SidecarTrace
{
    private static readonly ActivitySource Source = new(TelemetryNames.SourcePrefix + "Sidecar");

    public static Activity? Begin(string verb, string what, string? traceParent, string? traceState) =>
        Source.HasListeners() && ActivityContext.TryParse(traceParent, traceState, isRemote: true, out var parent)
            ? Source.StartActivity($"{verb} {what}", ActivityKind.Server, parent)
            : null;
}
