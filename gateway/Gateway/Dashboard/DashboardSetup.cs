using RenderTrust.Gateway.Auth;
using RenderTrust.Gateway.Dashboard.Live;
using RenderTrust.Gateway.Dashboard.Sessions;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard;

/// <summary>The web pages for creators and node owners: files, sessions, live streams. What they read comes through the same services as every client's.</summary>
internal static class DashboardSetup
{
    public static void AddDashboard(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<DashboardOptions>().BindConfiguration(DashboardOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<LiveLog>().AddSingleton<FleetFacts>().AddSingleton<StreamPlaces>();
    }

    public static void MapDashboard(this IEndpointRouteBuilder endpoints)
    {
        ServeDashboard.Map(endpoints);

        var api = endpoints.MapGroup(BrowserSessions.ApiPath);
        RedeemSignIn.Map(api);
        EndSession.Map(api);
        GetSession.Map(api.MapGroup("").RequireUser());
        ReadHandedOverKey.Map(api.MapGroup("").RequireUser());
        StreamChanges.Map(api.MapGroup("").RequireScope(Scopes.Jobs));
    }
}
