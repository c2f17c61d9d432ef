using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Auth;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard.Sessions;

/// <summary>What the creator's device has sealed for this browser, as soon as it is there.</summary>
internal static class ReadHandedOverKey
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/session/key", HandleAsync);

    private static async Task<Results<Ok<HandedOverKey>, ProblemHttpResult>> HandleAsync(HttpContext http, AppInvoker apps, CancellationToken cancellationToken)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (http.Features.Get<SignedInBrowser>() is not { } browser)
        {
            return GetSession.NoBrowser();
        }

        return await apps.FindAsync<HandedOverKey>(Apps.Identity, $"/internal/sessions/{browser.Session.SessionId:D}/key", cancellationToken) is { } key
            ? TypedResults.Ok(key)
            : TypedResults.Problem("No key will come for this session any more. Make a new link with: rendertrust dashboard", statusCode: StatusCodes.Status404NotFound);
    }
}
