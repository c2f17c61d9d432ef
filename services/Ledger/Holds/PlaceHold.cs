using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Ledger.Holds;

/// <summary>Sets credits aside for a job. The rule is the SQL function that the scheduler calls in its own transaction; this is its other door.</summary>
internal static partial class PlaceHold
{
    /// <summary>All outcomes are 200: the caller is a service and reads the outcome.</summary>
    public static async Task<PlaceHoldResponse> HandleAsync(
        PlaceHoldRequest request, NpgsqlDataSource database, ILogger<HoldOptions> logger, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT outcome, available_microcredits FROM place_hold_v1($1, $2, $3, $4, $5)");
        command.Parameters.Add(new() { Value = request.HoldId });
        command.Parameters.Add(new() { Value = request.TenantId.Value });
        command.Parameters.Add(new() { Value = request.AmountMicrocredits });
        command.Parameters.Add(new() { Value = request.ExpiresAt.ToUniversalTime() });
        command.Parameters.Add(new() { Value = request.JobId.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var response = new PlaceHoldResponse(SqlNames.Read<HoldOutcome>(reader.GetString(0)), reader.GetInt64(1));
        LogDecided(logger, request.HoldId, request.TenantId, response.Outcome);
        return response;
    }

    [LoggerMessage(LogLevel.Information, "Hold {HoldId} of tenant {TenantId}: {Outcome}")]
    private static partial void LogDecided(ILogger logger, Guid holdId, TenantId tenantId, HoldOutcome outcome);
}
