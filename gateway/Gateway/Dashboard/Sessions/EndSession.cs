using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Auth;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard.Sessions;

/// <summary>Signs the browser out. Without a session there is nothing to do, so no credentials are asked for.</summary>
internal static class EndSession
{
    public static void Map(IEndpointRouteBuilder api) => api.MapDelete("/session", HandleAsync).AllowAnonymous();

    private static async Task<NoContent> HandleAsync(HttpContext http, AppInvoker apps, BrowserSessions sessions, CancellationToken cancellationToken)
    {
        if (sessions.Read(http.Request) is { } secret)
        {
            if (await sessions.FindAsync(secret, cancellationToken) is { } browser)
            {
                await EndAsync(browser.Session.SessionId, secret, apps, sessions, cancellationToken);
            }

            sessions.Delete(http);
        }

        return TypedResults.NoContent();
    }

    internal static async Task EndAsync(Guid sessionId, string secret, AppInvoker apps, BrowserSessions sessions, CancellationToken cancellationToken)
    {
        await apps.PostAsync(Apps.Identity, $"/internal/sessions/{sessionId:D}/end", new { }, cancellationToken);
        sessions.Forget(secret);
    }
}
