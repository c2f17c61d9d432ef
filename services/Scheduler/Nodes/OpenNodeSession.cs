using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>A node's stream opened at a hub: gives the session its epoch and says which attempts are still live.</summary>
internal static class OpenNodeSession
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/node-sessions", HandleAsync);

    private static async Task<Results<Ok<OpenNodeSessionResponse>, ValidationProblem>> HandleAsync(
        OpenNodeSessionRequest request, NodeOwners owners, CancellationToken cancellationToken)
    {
        var errors = new Dictionary<string, string[]>();
        if (request.Capabilities.Slots is < 1 or > 1024)
        {
            errors["capabilities.slots"] = [$"{request.Capabilities.Slots} is not from 1 to 1024. Configure the agent with as many slots as it can run units at once."];
        }

        if (request.Name.Length is 0 or > 100)
        {
            errors["name"] = [$"A name has 1 to 100 characters; this one has {request.Name.Length}."];
        }

        if (request.HubAppId.Length == 0 || request.RecipientKeyId.Length == 0)
        {
            errors["hubAppId"] = ["hubAppId and recipientKeyId must not be empty."];
        }

        return errors.Count > 0 ? TypedResults.ValidationProblem(errors) : TypedResults.Ok(await owners.OpenSessionAsync(request, cancellationToken));
    }
}

/// <summary>A node's stream closed.</summary>
internal static class CloseNodeSession
{
    public static void Map(IEndpointRouteBuilder api) => api.MapPost("/internal/node-sessions/closed", HandleAsync);

    private static async Task<NoContent> HandleAsync(CloseNodeSessionRequest request, NodeOwners owners, CancellationToken cancellationToken)
    {
        await owners.CloseSessionAsync(request, cancellationToken);
        return TypedResults.NoContent();
    }
}
