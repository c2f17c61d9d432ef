using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Auth;

namespace RenderTrust.Gateway.Dashboard.Sessions;

/// <summary>Who is signed in, and which key opens this person's outputs.</summary>
internal static class GetSession
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/session", Handle);

    private static Results<Ok<BrowserSession>, ProblemHttpResult> Handle(HttpContext http)
    {
        http.Response.Headers.CacheControl = "no-store";
        return http.Features.Get<SignedInBrowser>() is { } browser ? TypedResults.Ok(browser.Session) : NoBrowser();
    }

    /// <summary>Devices and API keys have these routes' facts elsewhere.</summary>
    internal static ProblemHttpResult NoBrowser() =>
        TypedResults.Problem("This route is for a browser that is signed in by its cookie.", statusCode: StatusCodes.Status400BadRequest);
}
