using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Auth;

/// <summary>
/// Signs callers in at the edge: <c>DPoP</c> tokens with a fresh proof of their key, API keys as plain <c>Bearer</c> for agents that cannot make proofs, and on the
/// dashboard's own routes browsers by their cookie.
/// </summary>
internal sealed class EdgeAuthHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder,
    AccessTokens tokens, ApiKeys apiKeys, BrowserSessions sessions, ReplayGuard replays, IOptions<GatewayOptions> gateway, TimeProvider time, IProblemDetailsService problems)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    private Refusal? _refusal;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        var cookie = header.Length == 0 ? sessions.Read(Request) : null;
        if (header.Length == 0 && cookie is null)
        {
            return AuthenticateResult.NoResult();
        }

        var space = header.IndexOf(' ', StringComparison.Ordinal);
        var (scheme, credentials) = space < 0 ? (header, "") : (header[..space], header[(space + 1)..].Trim());
        var (signedIn, refusal) = scheme.ToUpperInvariant() switch
        {
            _ when cookie is not null => await SignInBrowserAsync(cookie, Context.RequestAborted),
            "DPOP" => await SignInDeviceAsync(credentials, Context.RequestAborted),
            "BEARER" => await SignInApiKeyAsync(credentials, Context.RequestAborted),
            _ => Refuse($"The authorization scheme '{scheme}' is not known. Use DPoP with an access token, or Bearer with an API key."),
        };
        _refusal = refusal;
        if (signedIn is null)
        {
            return AuthenticateResult.Fail(refusal!.Description);
        }

        Context.Features.Set(new ForwardedToken(signedIn.Token));
        return AuthenticateResult.Success(new AuthenticationTicket(signedIn.Principal, Scheme.Name));
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var error = _refusal is null ? "" : $", error=\"{_refusal.Error}\", error_description=\"{Quotable(_refusal.Description)}\"";
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.Append("WWW-Authenticate", "DPoP algs=\"ES256\"" + error);
        Response.Headers.Append("WWW-Authenticate", "Bearer realm=\"rendertrust\"");
        var context = new ProblemDetailsContext
        {
            HttpContext = Context,
            ProblemDetails =
            {
                Status = StatusCodes.Status401Unauthorized,
                Title = "The caller is not authenticated.",
                Detail = _refusal?.Description ?? "This request carries no credentials. Send 'Authorization: DPoP <access token>' with a DPoP proof, or 'Authorization: Bearer <API key>'.",
                Extensions = { ["error"] = _refusal?.Error ?? "invalid_request" },
            },
        };
        await problems.TryWriteAsync(context);
    }

    private async Task<(SignedIn? SignedIn, Refusal? Refusal)> SignInDeviceAsync(string accessToken, CancellationToken cancellationToken)
    {
        var token = await tokens.ValidateAsync(accessToken, cancellationToken);
        if (token.Principal is null)
        {
            return Refuse(token.Explanation);
        }

        if (token.ConfirmationThumbprint is null)
        {
            return Refuse("The access token is bound to no key, so no proof can go with it. Get one from /v1/identity/token with a DPoP header.");
        }

        if (Request.Headers["DPoP"] is not { Count: 1 } headers)
        {
            return RefuseProof($"A DPoP token needs exactly one DPoP header; this request has {Request.Headers["DPoP"].Count}.");
        }

        var proof = Verify(headers[0], accessToken);
        if (proof.Outcome is not DpopOutcome.Valid)
        {
            return RefuseProof(proof.Explanation);
        }

        if (proof.Thumbprint != token.ConfirmationThumbprint)
        {
            return RefuseProof("The DPoP proof is signed by another key than the one the access token is bound to. Sign with the device key that asked for the token.");
        }

        // Last, so that only proofs that are good in all else cost a write.
        return await replays.IsFirstUseAsync(proof.Thumbprint!, proof.ProofId!, cancellationToken)
            ? (new SignedIn(token.Principal, accessToken), null)
            : RefuseProof("This DPoP proof was used before. Make a new one, with its own jti, for each request.");
    }

    private async Task<(SignedIn? SignedIn, Refusal? Refusal)> SignInApiKeyAsync(string key, CancellationToken cancellationToken)
    {
        if (!key.StartsWith(ApiKeys.Prefix, StringComparison.Ordinal))
        {
            return Refuse("As Bearer only API keys are taken (they begin with rtk_). An access token goes as 'Authorization: DPoP', together with a proof.");
        }

        if (await apiKeys.FindTokenAsync(key, cancellationToken) is not { } accessToken)
        {
            return Refuse("The API key is unknown, expired or revoked. Make a new one under /v1/identity/api-keys.");
        }

        var token = await tokens.ValidateAsync(accessToken, cancellationToken);
        return token.Principal is null ? Refuse(token.Explanation) : (new SignedIn(token.Principal, accessToken), null);
    }

    private async Task<(SignedIn? SignedIn, Refusal? Refusal)> SignInBrowserAsync(string cookie, CancellationToken cancellationToken)
    {
        if (await sessions.FindAsync(cookie, cancellationToken) is not { } browser)
        {
            return Refuse("This browser's session has ended. Sign in again: run 'rendertrust dashboard' where your keys are, and open the link that it prints.");
        }

        var token = await tokens.ValidateAsync(browser.AccessToken, cancellationToken);
        if (token.Principal is null)
        {
            return Refuse(token.Explanation);
        }

        Context.Features.Set(browser);
        return (new SignedIn(token.Principal, browser.AccessToken), null);
    }

    /// <summary>
    /// The proof must name an address that this gateway is known by. The Host header plays no part: whoever relays a stolen proof chooses it.
    /// </summary>
    private DpopResult Verify(string? proof, string accessToken)
    {
        var path = Request.PathBase.Add(Request.Path).ToUriComponent();
        var hash = DpopProofs.AccessTokenHash(accessToken);
        DpopResult? first = null;
        foreach (var origin in gateway.Value.Origins())
        {
            var result = DpopProofs.Verify(proof, Request.Method, new Uri(origin + path), hash, time.GetUtcNow());
            if (result.Outcome is not DpopOutcome.WrongUrl)
            {
                return result;
            }

            first ??= result;
        }

        return first!;
    }

    private static (SignedIn? SignedIn, Refusal? Refusal) Refuse(string description) => (null, new Refusal("invalid_token", description));

    private static (SignedIn? SignedIn, Refusal? Refusal) RefuseProof(string description) => (null, new Refusal("invalid_dpop_proof", description));

    // A quoted-string may hold neither quotes nor anything beyond ASCII; the values that callers sent can.
    private static string Quotable(string text) => string.Concat(text.Select(c => c is >= ' ' and <= '~' and not '"' and not '\\' ? c : '\''));

    private sealed record SignedIn(ClaimsPrincipal Principal, string Token);

    /// <summary>An error code of RFC 6750 or 9449 for machines, and a sentence with the remedy for people.</summary>
    private sealed record Refusal(string Error, string Description);
}
