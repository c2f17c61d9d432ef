using Microsoft.Extensions.Options;
using RenderTrust.Gateway.Auth;

namespace RenderTrust.Gateway.Dashboard;

/// <summary>
/// What every answer under /dashboard says to browsers, and who may ask its API: only pages of this gateway's own origin. The cookie is not sent by other sites;
/// a page on another port of the same host is no other site, though, and this is what keeps it out.
/// </summary>
internal static class DashboardGuard
{
    private const string ContentPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    public static void UseDashboardGuard(this IApplicationBuilder app)
    {
        var options = app.ApplicationServices.GetRequiredService<IOptions<GatewayOptions>>();
        app.UseWhen(
            http => http.Request.Path.StartsWithSegments("/dashboard", StringComparison.OrdinalIgnoreCase),
            dashboard => dashboard.Use(async (http, next) =>
            {
                AddHeaders(http.Response.Headers);
                if (http.Request.Path.StartsWithSegments(BrowserSessions.ApiPath, StringComparison.OrdinalIgnoreCase) && Refusal(http.Request, options.Value) is { } refusal)
                {
                    http.Response.StatusCode = StatusCodes.Status403Forbidden;
                    await http.RequestServices.GetRequiredService<IProblemDetailsService>().TryWriteAsync(
                        new ProblemDetailsContext { HttpContext = http, ProblemDetails = { Status = StatusCodes.Status403Forbidden, Title = "Not from the dashboard's own pages", Detail = refusal } });
                    return;
                }

                await next();
            }));
    }

    /// <summary>Why a request is not one of the dashboard's own pages'; null if it may be.</summary>
    internal static string? Refusal(HttpRequest request, GatewayOptions options)
    {
        // Only browsers send this header, and no page can forge it. "none" is a person who typed the address.
        var site = request.Headers["Sec-Fetch-Site"].ToString();
        if (site is not ("" or "same-origin" or "none"))
        {
            return $"The request comes from a page of another origin (Sec-Fetch-Site: {site}). Open the dashboard at {options.PublicUrl.TrimEnd('/')}/dashboard/.";
        }

        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method))
        {
            return null;
        }

        var origin = request.Headers.Origin.ToString();
        return options.Origins().Contains(origin, StringComparer.OrdinalIgnoreCase)
            ? null
            : $"The request's Origin is '{origin}', which is none of this gateway's: {string.Join(", ", options.Origins())}. Open the dashboard at one of them, or add yours to Gateway:OtherUrls.";
    }

    private static void AddHeaders(IHeaderDictionary headers)
    {
        headers.ContentSecurityPolicy = ContentPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
    }
}
