using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Identity;

/// <summary>The route table: path, policy, slice. The endpoint test reads the same table.</summary>
internal static class Routes
{
    public static void MapIdentity(this WebApplication app)
    {
        var open = app.MapGroup("/v1/identity").AllowAnonymous();
        open.MapPost("/registrations", RegisterDevice.HandleAsync);
        open.MapPost("/token", IssueToken.HandleAsync);
        open.MapPost("/node-enrolments", EnrolNode.HandleAsync);
        open.MapGet("/trust", GetTrust.Handle);
        open.MapGet("/jwks", GetTrust.HandleJwks);

        var user = app.MapGroup("/v1/identity");
        user.MapGet("/me", GetMe.HandleAsync).RequireUser();
        user.MapGet("/key-statements", ListKeyStatements.HandleAsync).RequireUser();
        user.MapGet("/devices", ListDevices.HandleAsync).RequireScope(Scopes.Admin);
        user.MapDelete("/devices/{deviceId}", RevokeDevice.HandleAsync).RequireScope(Scopes.Admin);
        user.MapPost("/api-keys", CreateApiKey.HandleAsync).RequireScope(Scopes.Admin);
        user.MapGet("/api-keys", ListApiKeys.HandleAsync).RequireScope(Scopes.Admin);
        user.MapDelete("/api-keys/{apiKeyId:guid}", RevokeApiKey.HandleAsync).RequireScope(Scopes.Admin);
        user.MapPost("/sign-ins", CreateSignIn.HandleAsync).RequireScope(Scopes.Admin);
        user.MapGet("/sign-ins/{signInId:guid}", GetSignIn.HandleAsync).RequireScope(Scopes.Admin);
        user.MapPost("/sign-ins/{signInId:guid}/key", HandOverKey.HandleAsync).RequireScope(Scopes.Admin);
        user.MapGet("/sessions", ListSessions.HandleAsync).RequireScope(Scopes.Admin);
        user.MapDelete("/sessions/{sessionId:guid}", EndSession.HandleAsync).RequireScope(Scopes.Admin);
        user.MapPost("/node-tokens", CreateNodeToken.HandleAsync).RequireScope(Scopes.Nodes);
        user.MapDelete("/nodes/{nodeId}", RevokeNode.HandleAsync).RequireScope(Scopes.Nodes);

        var platform = app.MapGroup("/internal");
        platform.MapGet("/jwks", GetTrust.HandleJwks).RequireInternal();
        platform.MapGet("/ca", GetTrust.Handle).RequireInternal();
        platform.MapGet("/revocations", ListRevocations.HandleAsync).RequireInternal();
        platform.MapGet("/nodes/{nodeId}", GetNode.HandleAsync).RequireInternal();
        platform.MapPost("/api-keys/introspections", IntrospectApiKey.HandleAsync).RequireInternal(Apps.Gateway);
        platform.MapPost("/sign-ins/redemptions", RedeemSignIn.HandleAsync).RequireInternal(Apps.Gateway);
        platform.MapPost("/sessions/introspections", IntrospectSession.HandleAsync).RequireInternal(Apps.Gateway);
        platform.MapGet("/sessions/{sessionId:guid}/key", ReadHandedOverKey.HandleAsync).RequireInternal(Apps.Gateway);
        platform.MapPost("/sessions/{sessionId:guid}/end", EndSession.HandleOwnAsync).RequireInternal(Apps.Gateway);
        platform.MapPost("/server-certificates", IssueServerCertificate.Handle).RequireInternal(Apps.Gateway);
        platform.MapPost("/overflow-pools", PublishPool.HandleAsync).RequireInternal(Apps.Scheduler);
        platform.MapPost("/overflow-pools/withdrawn", WithdrawPool.HandleAsync).RequireInternal(Apps.Scheduler);
        platform.MapPost("/overflow-pools/tokens", CreateOverflowToken.HandleAsync).RequireInternal(Apps.Scheduler);
    }
}
