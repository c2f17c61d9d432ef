using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace RenderTrust.Telemetry;

/// <summary>Spans to a collector by OTLP, set by OpenTelemetry's own environment variables and by nothing else.</summary>
public static class Otlp
{
    /// <summary>Export is on where it is set; the others (protocol, headers, sampler) are read by the SDK.</summary>
    public const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>For a process without a service host; null where no endpoint is set. Disposing sends what is left.</summary>
    /// <param name="service">Its <c>service.name</c>.</param>
    /// <param name="endpoint">Of the variable.</param>
    public static IDisposable? Start(string service, string? endpoint) => string.IsNullOrEmpty(endpoint) ? null : Build(service);

    // Apart, so that a command which exports nothing does not load the SDK either.
    private static TracerProvider Build(string service) => Sdk.CreateTracerProviderBuilder()
        .ConfigureResource(resource => resource.AddService(service))
        .AddSource(TelemetryNames.Source, TelemetryNames.SourcePrefix + "*")
        .AddOtlpExporter()
        .Build();
}
