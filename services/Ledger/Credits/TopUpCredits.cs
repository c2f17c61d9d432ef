using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Credits;

/// <summary>Credits from nothing, in Development only. Repeating a top-up id is safe: the first call decides.</summary>
internal static partial class TopUpCredits
{
    public static async Task<Results<Ok<TopUpResponse>, Conflict<TopUpResponse>, ProblemHttpResult>> HandleAsync(
        TopUpRequest request, ClaimsPrincipal user, NpgsqlDataSource database, ServiceApp app, Outbox outbox, TimeProvider time,
        ILogger<CreditBalance> logger, CancellationToken cancellationToken)
    {
        if (!app.IsDevelopment)
        {
            return TypedResults.Problem(
                statusCode: StatusCodes.Status403Forbidden,
                title: "Credits are bought here, not given.",
                detail: "POST /v1/credits/top-ups works only where RENDERTRUST_ENVIRONMENT=Development. Buy credits with a card instead.");
        }

        var tenant = user.TenantId();
        var outcome = await ApplyAsync(database, tenant, request, time.GetUtcNow(), cancellationToken);
        LogDecided(logger, request.TopUpId, tenant, request.AmountMicrocredits, outcome);
        if (outcome == TopUpOutcome.Created)
        {
            outbox.Wake();
        }

        var explanation = outcome == TopUpOutcome.ConflictingAmount
            ? $"Top-up {request.TopUpId} was made before with another amount or for another account. Use a new topUpId for a new top-up."
            : null;
        var response = new TopUpResponse(outcome, await GetBalance.ReadAsync(database, tenant, cancellationToken), explanation);
        return outcome == TopUpOutcome.ConflictingAmount ? TypedResults.Conflict(response) : TypedResults.Ok(response);
    }

    internal static async Task<TopUpOutcome> ApplyAsync(
        NpgsqlDataSource database, TenantId tenant, TopUpRequest request, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT top_up($1, $2, $3, $4)");
        command.Parameters.Add(new() { Value = request.TopUpId });
        command.Parameters.Add(new() { Value = tenant.Value });
        command.Parameters.Add(new() { Value = request.AmountMicrocredits });
        command.Parameters.Add(new() { Value = now });
        return SqlNames.Read<TopUpOutcome>((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    [LoggerMessage(LogLevel.Information, "Top-up {TopUpId} of {AmountMicrocredits} micro-credits for tenant {TenantId}: {Outcome}")]
    private static partial void LogDecided(ILogger logger, Guid topUpId, TenantId tenantId, long amountMicrocredits, TopUpOutcome outcome);
}
