using Microsoft.Extensions.Options;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Auth;

/// <summary>A browser that is signed in, and the token that services behind the gateway take for it.</summary>
internal sealed record SignedInBrowser(BrowserSession Session, string AccessToken);

/// <summary>
/// Sessions of browsers. The secret is in a cookie that scripts cannot read, that other sites cannot send, and that only the dashboard's own routes look at:
/// nothing else of the API can be reached with it.
/// </summary>
internal sealed class BrowserSessions(AppInvoker apps, IOptions<EdgeAuthOptions> options, IOptions<GatewayOptions> gateway, TimeProvider time)
{
    /// <summary>Where the cookie is sent to, and where it counts.</summary>
    public const string ApiPath = "/dashboard/api";

    private const string CookiePath = "/dashboard";

    private readonly SecretCache<SignedInBrowser?> _answers = new(time);

    // Cookies know no ports: without the port in the name, two platforms on one machine would sign each other's browsers out.
    private string CookieName => $"rendertrust_{new Uri(gateway.Value.PublicUrl).Port}";

    /// <summary>The cookie, if this request is one on which it counts.</summary>
    public string? Read(HttpRequest request) =>
        request.Path.StartsWithSegments(ApiPath, StringComparison.Ordinal) && request.Cookies.TryGetValue(CookieName, out var secret) && secret.Length > 0 ? secret : null;

    /// <summary>Null: unknown, ended, expired, or its device is revoked.</summary>
    public async Task<SignedInBrowser?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        if (_answers.TryGet(secret, out var known))
        {
            return known;
        }

        var answer = await apps.PostAsync<IntrospectSessionRequest, IntrospectSessionResponse>(
            Apps.Identity, "/internal/sessions/introspections", new IntrospectSessionRequest(secret), cancellationToken);
        var found = answer is { Active: true, Session: { } session, AccessToken: { } token } ? new SignedInBrowser(session, token) : null;
        _answers.Set(secret, found, TimeSpan.FromSeconds(options.Value.ApiKeyCacheSeconds));
        return found;
    }

    public void Forget(string secret) => _answers.Forget(secret);

    public void Write(HttpContext http, string secret, DateTimeOffset expiresAt) => http.Response.Cookies.Append(CookieName, secret, Options(http, expiresAt));

    public void Delete(HttpContext http) => http.Response.Cookies.Delete(CookieName, Options(http, expiresAt: null));

    private CookieOptions Options(HttpContext http, DateTimeOffset? expiresAt) => new()
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        Path = CookiePath,
        // Behind a proxy that ends TLS the connection here is plain, but what the browser sees is the public address.
        Secure = http.Request.IsHttps || gateway.Value.PublicUrl.StartsWith("https:", StringComparison.OrdinalIgnoreCase),
        Expires = expiresAt,
        IsEssential = true,
    };
}
