using System.Net;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

internal sealed class UserRequirementHandler : AuthorizationHandler<UserRequirement>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, UserRequirement requirement)
    {
        if (context.User.Identity is not { IsAuthenticated: true })
        {
            return Task.CompletedTask;
        }

        if (!TenantId.TryParse(context.User.FindFirst(TokenClaims.Tenant)?.Value, null, out _)
            || !Guid.TryParseExact(context.User.FindFirst("sub")?.Value, "D", out _))
        {
            context.Fail(new AuthorizationFailureReason(this, "The access token names no tenant. Get a new one from /v1/identity/token."));
            return Task.CompletedTask;
        }

        var missing = (context.Resource as HttpContext)?.GetEndpoint()?.Metadata.GetOrderedMetadata<RequiredScope>()
            .FirstOrDefault(required => !context.User.HasScope(required.Scope));
        if (missing is not null)
        {
            context.Fail(new AuthorizationFailureReason(
                this, $"The access token lacks scope '{missing.Scope}' (it has '{string.Join(' ', context.User.ScopeList())}'). Ask for a token with that scope."));
            return Task.CompletedTask;
        }

        context.Succeed(requirement);
        return Task.CompletedTask;
    }
}

internal sealed class InternalRequirementHandler(ServiceApp app) : AuthorizationHandler<InternalRequirement>
{
    /// <summary>Why an internal route was refused, for the problem body.</summary>
    internal const string RefusalItem = "rendertrust.auth.refusal";

    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, InternalRequirement requirement)
    {
        if (context.Resource is not HttpContext http)
        {
            return Task.CompletedTask;
        }

        // No route was found, or only routing's own answer for a wrong method: there is nothing to protect, and the answer is an honest 404 or 405.
        var refusal = http.GetEndpoint() is RouteEndpoint ? Refusal(http) : null;
        if (refusal is null)
        {
            context.Succeed(requirement);
        }
        else
        {
            // Kept aside as well: for a caller without a user, the framework drops the reasons.
            http.Items[RefusalItem] = refusal;
            context.Fail(new AuthorizationFailureReason(this, refusal));
        }

        return Task.CompletedTask;
    }

    private string? Refusal(HttpContext http)
    {
        // The gateway also listens in public: nothing internal is ever answered there, whatever token is shown.
        if (app.AppPort != 0 && http.Connection.LocalPort != app.AppPort)
        {
            return "This route is internal.";
        }

        if (app.ApiToken is not null)
        {
            if (!app.IsApiToken(http.Request.Headers["dapr-api-token"]))
            {
                return "This route is internal: header dapr-api-token must carry the app's token. Call it through the sidecar.";
            }
        }
        else if (http.Connection.RemoteIpAddress is not { } remote || !IPAddress.IsLoopback(remote))
        {
            return "This route is internal: without APP_API_TOKEN only the loopback address is accepted.";
        }

        var metadata = http.GetEndpoint()?.Metadata;
        var caller = http.Request.Headers["dapr-caller-app-id"].ToString();
        if (metadata?.GetMetadata<SidecarOnly>() is not null)
        {
            // An app that invokes through the sidecar is named by it; the sidecar's own calls carry no name.
            return caller.Length == 0 ? null : $"This route is for the sidecar, not for app '{caller}'.";
        }

        if (metadata?.GetMetadata<AllowedCallers>() is not { } allowed)
        {
            return "This route has no list of callers, so nobody may call it.";
        }

        return allowed.AppIds.Count == 0 || allowed.AppIds.Contains(caller, StringComparer.Ordinal)
            ? null
            : $"App '{caller}' may not call this route; allowed: {string.Join(", ", allowed.AppIds)}.";
    }
}
