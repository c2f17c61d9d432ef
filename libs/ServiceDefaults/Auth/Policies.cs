using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using RenderTrust.Contracts;

namespace RenderTrust.ServiceDefaults;

/// <summary>Names of the two authorisation policies. Every route has one, or is anonymous and on a checked list.</summary>
public static class Policies
{
    /// <summary>A person's device or API key, by an access token of identity.</summary>
    public const string User = "user";

    /// <summary>Another app of the platform, or the own sidecar.</summary>
    public const string Internal = "internal";
}

public static class AuthSchemes
{
    public const string Bearer = "Bearer";
}

/// <summary>What an access token may be used for.</summary>
public static class Scopes
{
    public const string Jobs = "jobs";
    public const string Credits = "credits";
    public const string Modules = "modules";
    public const string Nodes = "nodes";
    public const string Admin = "admin";

    /// <summary>Those that a person's own device gets. <see cref="Admin"/> (devices and API keys) is never given to an API key.</summary>
    public static IReadOnlyList<string> All { get; } = [Jobs, Credits, Modules, Nodes, Admin];
}

/// <summary>Names of the claims in an access token.</summary>
public static class TokenClaims
{
    public const string Tenant = "tenant";
    public const string Scope = "scope";

    /// <summary><c>device</c> or <c>apiKey</c>: which list of revocations the subject belongs to.</summary>
    public const string SubjectKind = "sub_kind";

    /// <summary>RFC 9449: <c>{"jkt":thumbprint}</c> of the key that the token is bound to; absent for API keys.</summary>
    public const string Confirmation = "cnf";
}

/// <summary>Endpoint metadata: the scope that a user needs.</summary>
public sealed record RequiredScope(string Scope);

/// <summary>Endpoint metadata: the apps that may call an internal route; empty = every app and the own sidecar.</summary>
public sealed record AllowedCallers(IReadOnlyList<string> AppIds);

/// <summary>Endpoint metadata: only the own sidecar may call (topics, actors, subscriptions), not an app through it.</summary>
public sealed record SidecarOnly;

public static class PolicyExtensions
{
    /// <summary>Policy <c>user</c>.</summary>
    public static TBuilder RequireUser<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.RequireAuthorization(Policies.User);

    /// <summary>Policy <c>user</c> with a token that carries <paramref name="scope"/>.</summary>
    public static TBuilder RequireScope<TBuilder>(this TBuilder builder, string scope)
        where TBuilder : IEndpointConventionBuilder => builder.RequireAuthorization(Policies.User).WithMetadata(new RequiredScope(scope));

    /// <summary>Policy <c>internal</c>, for the named apps; without names for every app of the platform.</summary>
    public static TBuilder RequireInternal<TBuilder>(this TBuilder builder, params string[] appIds)
        where TBuilder : IEndpointConventionBuilder => builder.RequireAuthorization(Policies.Internal).WithMetadata(new AllowedCallers(appIds));

    /// <summary>Policy <c>internal</c>, for what the own sidecar calls by itself: topic routes, <c>MapActorsHandlers()</c>.</summary>
    public static TBuilder RequireSidecar<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.RequireAuthorization(Policies.Internal).WithMetadata(new SidecarOnly());
}

public static class UserExtensions
{
    /// <summary>The tenant that the caller acts for. Policy <c>user</c> has made sure that it is there.</summary>
    public static TenantId TenantId(this ClaimsPrincipal user)
    {
        ArgumentNullException.ThrowIfNull(user);
        var text = user.FindFirst(TokenClaims.Tenant)?.Value;
        return Contracts.TenantId.TryParse(text, null, out var tenant)
            ? tenant
            : throw new InvalidOperationException($"The caller has no tenant (claim is '{text}'). The route must require policy '{Policies.User}'.");
    }

    /// <summary>Device id or API key id.</summary>
    public static Guid SubjectId(this ClaimsPrincipal user)
    {
        ArgumentNullException.ThrowIfNull(user);
        var text = user.FindFirst("sub")?.Value;
        return Guid.TryParseExact(text, "D", out var subject)
            ? subject
            : throw new InvalidOperationException($"The caller has no subject (claim is '{text}'). The route must require policy '{Policies.User}'.");
    }

    public static IReadOnlyList<string> ScopeList(this ClaimsPrincipal user)
    {
        ArgumentNullException.ThrowIfNull(user);
        return user.FindFirst(TokenClaims.Scope)?.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
    }

    public static bool HasScope(this ClaimsPrincipal user, string scope) => user.ScopeList().Contains(scope, StringComparer.Ordinal);
}

internal sealed class UserRequirement : IAuthorizationRequirement;

internal sealed class InternalRequirement : IAuthorizationRequirement;
