using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Net.Http.Headers;

namespace RenderTrust.ServiceDefaults;

/// <summary>
/// <c>/metrics</c> in Prometheus' text format, on the app port and the health port; at every other door it does not exist. Figures name no creator, job or
/// node, but how busy a platform is is its operator's business: METRICS_TOKEN must be shown as a bearer token. Without one only this machine may read, and
/// only in Development.
/// </summary>
internal static class MetricsDoor
{
    public const string Path = "/metrics";

    public static void UseMetrics(this WebApplication app)
    {
        var service = app.Services.GetRequiredService<ServiceApp>();
        app.UseWhen(
            http => http.Request.Path.Equals(Path, StringComparison.OrdinalIgnoreCase) && IsDoor(http, service),
            door =>
            {
                door.Use(async (http, next) =>
                {
                    if (MayRead(http, service))
                    {
                        await next(http);
                        return;
                    }

                    http.Response.StatusCode = StatusCodes.Status401Unauthorized;
                    http.Response.Headers.WWWAuthenticate = "Bearer";
                    await http.RequestServices.GetRequiredService<IProblemDetailsService>().TryWriteAsync(new ProblemDetailsContext
                    {
                        HttpContext = http,
                        ProblemDetails =
                        {
                            Status = StatusCodes.Status401Unauthorized,
                            Title = "Metrics need a token",
                            Detail = service.MetricsToken is null
                                ? $"METRICS_TOKEN is not set for {service.AppId}, so nobody may read its metrics from here. Set it, and let the scraper show it as 'Authorization: Bearer'."
                                : "Show the value of METRICS_TOKEN as 'Authorization: Bearer'.",
                        },
                    });
                });
                door.UseOpenTelemetryPrometheusScrapingEndpoint();
            });
    }

    private static bool IsDoor(HttpContext http, ServiceApp service)
    {
        var port = http.Connection.LocalPort;
        return port != 0 && (port == service.AppPort || port == service.HealthPort);
    }

    private static bool MayRead(HttpContext http, ServiceApp service)
    {
        if (service.MetricsToken is not null)
        {
            const string scheme = "Bearer ";
            var given = http.Request.Headers[HeaderNames.Authorization].ToString();
            return given.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && service.IsMetricsToken(given[scheme.Length..].Trim());
        }

        return service.IsDevelopment && http.Connection.RemoteIpAddress is { } remote && IPAddress.IsLoopback(remote);
    }
}
