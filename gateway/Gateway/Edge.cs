using RenderTrust.Contracts;
using RenderTrust.Gateway.A2A;
using RenderTrust.Gateway.Auth;
using RenderTrust.Gateway.Dashboard;
using RenderTrust.Gateway.Listeners;
using RenderTrust.Gateway.Proxy;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway;

/// <summary>The side of the gateway that creators and agents see: sign-in, REST, A2A, the dashboard. It has no tables.</summary>
internal static class Edge
{
    public static void AddEdge(this WebApplicationBuilder builder)
    {
        builder.AddServiceDefaults(Apps.Gateway);

        // One line per request is for the access log of whatever stands in front; refused sign-ins are everyday.
        builder.Logging.AddFilter("Yarp", LogLevel.Warning).AddFilter(typeof(EdgeAuthHandler).FullName, LogLevel.Warning);
        builder.AddPublicListener();
        builder.AddEdgeAuth();
        builder.AddRestProxy();
        builder.AddA2A();
        builder.AddDashboard();
    }

    /// <summary>Call before any other route is mapped: the order of the pipeline is decided here.</summary>
    public static void MapEdge(this WebApplication app)
    {
        Arrival.Use(app);
        app.UseStatusCodePages();
        app.UseRouting();
        app.UseListenerGate();
        app.UseDashboardGuard();
        app.MapDefaultEndpoints();
        app.MapA2A();
        app.MapRestProxy();
        app.MapDashboard();
    }
}
