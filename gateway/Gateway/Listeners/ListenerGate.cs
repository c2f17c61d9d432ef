using Grpc.AspNetCore.Server;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Listeners;

/// <summary>
/// Lets a route answer only at its own door. It judges the route that was matched, not the path that was sent, so no spelling of a path gets around it.
/// At the wrong door a route looks as if it did not exist.
/// </summary>
internal static class ListenerGate
{
    public static void UseListenerGate(this IApplicationBuilder app)
    {
        var service = app.ApplicationServices.GetRequiredService<ServiceApp>();
        app.Use(async (http, next) =>
        {
            if (http.GetEndpoint() is { } endpoint && !Answers(endpoint, DoorOf(http, service)))
            {
                http.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            await next();
        });
    }

    internal static bool Answers(Endpoint endpoint, Listener here)
    {
        var pattern = "/" + ((endpoint as RouteEndpoint)?.RoutePattern.RawText ?? "").TrimStart('/');
        return pattern.Equals("/healthz", StringComparison.OrdinalIgnoreCase) ? here is not Listener.Nodes : here == DoorOf(endpoint, pattern);
    }

    private static Listener DoorOf(HttpContext http, ServiceApp service) =>
        http.Features.Get<ListenerFeature>()?.Listener
        ?? (IsAt(http, service.AppPort) ? Listener.Internal : IsAt(http, service.HealthPort) ? Listener.Health : Listener.Nodes);

    private static bool IsAt(HttpContext http, int port) => port != 0 && http.Connection.LocalPort == port;

    private static Listener DoorOf(Endpoint endpoint, string pattern)
    {
        if (pattern.StartsWith("/internal/", StringComparison.OrdinalIgnoreCase) || pattern.StartsWith("/dapr/", StringComparison.OrdinalIgnoreCase))
        {
            return Listener.Internal;
        }

        // The framework's answers to unknown gRPC methods carry no metadata, only the name of their route constraint.
        var isForNodes = pattern.Contains(":grpcunimplemented", StringComparison.Ordinal) || endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is not null || pattern.StartsWith("/v1/node/", StringComparison.OrdinalIgnoreCase);
        return isForNodes ? Listener.Nodes : Listener.Public;
    }
}
