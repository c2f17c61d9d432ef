using System.Security.Claims;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Credits;

/// <summary>What the caller's organisation can spend, has reserved for running jobs, and has earned.</summary>
internal static class GetBalance
{
    public static Task<CreditBalance> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken) =>
        ReadAsync(database, user.TenantId(), cancellationToken);

    /// <summary>Zeros for a tenant that the ledger has never seen: it has nothing, which is not an error.</summary>
    internal static async Task<CreditBalance> ReadAsync(NpgsqlDataSource database, TenantId tenant, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT coalesce(sum(posted_balance - held) FILTER (WHERE kind = 'creator'), 0)::bigint,
                coalesce(sum(held) FILTER (WHERE kind = 'creator'), 0)::bigint,
                coalesce(sum(posted_balance) FILTER (WHERE kind = 'earnings'), 0)::bigint,
                coalesce(sum(posted_balance) FILTER (WHERE kind = 'earnings_pending'), 0)::bigint
            FROM accounts
            WHERE account IN ('creator:' || $1::uuid, 'earnings:' || $1::uuid, 'earnings_pending:' || $1::uuid)
            """);
        command.Parameters.Add(new() { Value = tenant.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new CreditBalance(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }
}
