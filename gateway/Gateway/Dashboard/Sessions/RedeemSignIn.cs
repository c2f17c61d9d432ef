using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;
using RenderTrust.Gateway.Auth;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Gateway.Dashboard.Sessions;

/// <summary>Answer of <c>POST /dashboard/api/session</c>; the session itself is in the cookie.</summary>
internal sealed record RedeemedSignIn(Guid SignInId, DateTimeOffset ExpiresAt);

/// <summary>A browser signs in with the code of a link. The code is in the body and the session in a cookie: neither is ever part of an address.</summary>
internal static class RedeemSignIn
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/session", HandleAsync).AllowAnonymous();

    private static async Task<Results<Ok<RedeemedSignIn>, ProblemHttpResult>> HandleAsync(
        RedeemSignInRequest request, HttpContext http, AppInvoker apps, BrowserSessions sessions, CancellationToken cancellationToken)
    {
        http.Response.Headers.CacheControl = "no-store";
        var mistakes = new List<ValidationResult>();
        if (!Validator.TryValidateObject(request, new ValidationContext(request), mistakes, validateAllProperties: true))
        {
            return TypedResults.Problem(string.Join(' ', mistakes.Select(mistake => mistake.ErrorMessage)), statusCode: StatusCodes.Status400BadRequest);
        }

        var answer = await apps.PostAsync<RedeemSignInRequest, RedeemSignInResponse>(Apps.Identity, "/internal/sign-ins/redemptions", request, cancellationToken);
        if (answer is not { Outcome: RedeemOutcome.SignedIn, Session: { } secret, SignInId: { } signInId, ExpiresAt: { } expiresAt })
        {
            return Refuse(answer.Outcome);
        }

        if (sessions.Read(http.Request) is { } earlier && await sessions.FindAsync(earlier, cancellationToken) is { } replaced)
        {
            await EndSession.EndAsync(replaced.Session.SessionId, earlier, apps, sessions, cancellationToken);
        }

        sessions.Write(http, secret, expiresAt);
        return TypedResults.Ok(new RedeemedSignIn(signInId, expiresAt));
    }

    private static ProblemHttpResult Refuse(RedeemOutcome outcome)
    {
        var (status, detail) = outcome switch
        {
            RedeemOutcome.Expired => (StatusCodes.Status410Gone, "This link has run out: it is good for one minute."),
            RedeemOutcome.BadBrowserKey => (StatusCodes.Status400BadRequest, "The browser's key is no point of P-256."),
            RedeemOutcome.TooManySessions => (StatusCodes.Status409Conflict, "Too many browsers are signed in. End some with 'rendertrust dashboard sessions' and 'rendertrust dashboard end ID'."),
            _ => (StatusCodes.Status403Forbidden, "This link is not known: it was used already, or is incomplete."),
        };
        return TypedResults.Problem($"{detail} Make a new one with: rendertrust dashboard", statusCode: status, extensions: new Dictionary<string, object?> { ["code"] = outcome });
    }
}
