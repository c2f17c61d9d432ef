using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;

namespace RenderTrust.ServiceDefaults;

/// <summary>A refusal says why, as problem+json: 401 with the scheme's own challenge, 403 with the requirement's reason.</summary>
internal sealed class ProblemAuthorizationResultHandler(IProblemDetailsService problems) : IAuthorizationMiddlewareResultHandler
{
    public async Task HandleAsync(RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult)
    {
        if (authorizeResult.Succeeded)
        {
            await next(context);
            return;
        }

        var isInternal = policy.Requirements.Any(requirement => requirement is InternalRequirement);
        var reason = authorizeResult.AuthorizationFailure?.FailureReasons.FirstOrDefault()?.Message;
        if (authorizeResult.Challenged && !isInternal)
        {
            // The scheme writes status and WWW-Authenticate; the body is written here.
            await context.ChallengeAsync();
            reason ??= context.Items.TryGetValue(BearerTokenHandler.FailureItem, out var failure) ? failure as string : null;
            reason ??= "Send an access token of /v1/identity/token in the Authorization header.";
        }
        else
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            reason ??= context.Items.TryGetValue(InternalRequirementHandler.RefusalItem, out var refusal) ? refusal as string : null;
        }

        if (context.Response.HasStarted)
        {
            return;
        }

        var unauthenticated = context.Response.StatusCode == StatusCodes.Status401Unauthorized;
        await problems.TryWriteAsync(new ProblemDetailsContext
        {
            HttpContext = context,
            ProblemDetails = new ProblemDetails
            {
                Status = context.Response.StatusCode,
                Title = unauthenticated ? "The caller is not authenticated." : "The caller may not do this.",
                Detail = reason,
            },
        });
    }
}
