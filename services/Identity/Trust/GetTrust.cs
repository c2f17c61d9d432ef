using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>What clients and nodes pin on first contact, and the keys that check access tokens.</summary>
internal static class GetTrust
{
    public static Ok<TrustResponse> Handle(PlatformKeys keys) => TypedResults.Ok(keys.Trust);

    public static ContentHttpResult HandleJwks(PlatformKeys keys) => TypedResults.Text(keys.Jwks, "application/json");
}
