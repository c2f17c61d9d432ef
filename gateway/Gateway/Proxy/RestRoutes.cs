using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Proxy;

/// <summary>A public path and the service behind it. What is not listed here does not exist outside.</summary>
/// <param name="IsAnonymous">Reachable before one has any credentials.</param>
/// <param name="IsForDashboard">Can be read (GET only) with a browser's cookie as well, under <see cref="Auth.BrowserSessions.ApiPath"/>.</param>
internal sealed record RestRoute(string Path, string App, bool IsAnonymous = false, bool IsForDashboard = false);

internal static class RestRoutes
{
    public static IReadOnlyList<RestRoute> All { get; } =
    [
        new("/v1/identity/registrations", Apps.Identity, IsAnonymous: true),
        new("/v1/identity/token", Apps.Identity, IsAnonymous: true),
        new("/v1/identity/trust", Apps.Identity, IsAnonymous: true),
        new("/v1/identity/jwks", Apps.Identity, IsAnonymous: true),
        new("/v1/identity/node-enrolments", Apps.Identity, IsAnonymous: true),
        new("/v1/identity/{**rest}", Apps.Identity),
        new("/v1/credits/{**rest}", Apps.Ledger, IsForDashboard: true),
        new("/v1/earnings/{**rest}", Apps.Ledger, IsForDashboard: true),
        new("/v1/modules/{**rest}", Apps.Catalog),
        new("/v1/jobs/{**rest}", Apps.Scheduler, IsForDashboard: true),
        new("/v1/nodes/{**rest}", Apps.Scheduler, IsForDashboard: true),
    ];
}
