using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using RenderTrust.Telemetry;

namespace RenderTrust.ServiceDefaults;

internal static class TelemetrySetup
{
    public static void AddTelemetry(this WebApplicationBuilder builder, ServiceApp app)
    {
        builder.Services.AddOptions<TelemetryOptions>().Bind(builder.Configuration.GetSection(TelemetryOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<JobSpanQueue>();
        builder.Services.TryAddSingleton<ISpanSink, SchedulerSpanSink>();
        builder.Services.AddHostedService<ExportSpansLoop>();

        var exports = !string.IsNullOrEmpty(builder.Configuration[Otlp.EndpointVariable]);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(app.AppId))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(TelemetryNames.Meter, "System.Runtime", "Microsoft.AspNetCore.Hosting").AddPrometheusExporter();
                if (exports)
                {
                    metrics.AddOtlpExporter();
                }
            });
        if (exports)
        {
            // Npgsql's spans only where something caused the query (libs/Postgres): loops that look every second would be nothing but noise.
            telemetry.WithTracing(traces => traces
                .AddSource(TelemetryNames.Source, TelemetryNames.SourcePrefix + "*", "Npgsql")
                .AddAspNetCoreInstrumentation(asp => asp.Filter = http => !IsProbe(http.Request.Path))
                .AddHttpClientInstrumentation()
                .AddOtlpExporter());
        }
    }

    /// <summary>Believes a mark only from the sidecar, and names the spans of a job's requests by their route.</summary>
    public static void UseJobTraces(this WebApplication app)
    {
        var service = app.Services.GetRequiredService<ServiceApp>();
        app.Use(async (http, next) =>
        {
            if (http.Features.Get<IHttpActivityFeature>()?.Activity is not { } activity)
            {
                await next(http);
                return;
            }

            if (service.AppPort != 0 && http.Connection.LocalPort != service.AppPort && activity.TraceStateString is { } state)
            {
                activity.TraceStateString = JobMark.RemoveFrom(state);
            }

            await next(http);
            if (JobMark.TryRead(activity.TraceStateString, out _))
            {
                Describe(activity, http);
            }
        });
    }

    private static void Describe(Activity activity, HttpContext http)
    {
        activity.DisplayName = $"{http.Request.Method} {(http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "unknown route"}";
        activity.SetTag("http.response.status_code", http.Response.StatusCode);
        if (http.Response.StatusCode >= StatusCodes.Status500InternalServerError)
        {
            activity.SetStatus(ActivityStatusCode.Error);
        }
    }

    private static bool IsProbe(PathString path) => path.Equals("/healthz", StringComparison.OrdinalIgnoreCase) || path.Equals(MetricsDoor.Path, StringComparison.OrdinalIgnoreCase);
}
