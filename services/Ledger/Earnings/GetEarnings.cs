using System.Security.Claims;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Ledger.Credits;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Earnings;

/// <summary>What the caller's nodes and modules have earned, by module.</summary>
internal static class GetEarnings
{
    public static async Task<EarningsSummary> HandleAsync(ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        var tenant = user.TenantId();
        await using var command = database.CreateCommand(
            """
            SELECT 'node', module, count(*), sum(metered_ms)::bigint, sum(node_share)::bigint FROM usage_events WHERE node_tenant_id = $1 GROUP BY module
            UNION ALL
            SELECT 'developer', module, count(*), sum(metered_ms)::bigint, sum(developer_share)::bigint FROM usage_events WHERE developer_tenant_id = $1 GROUP BY module
            ORDER BY 1, 2
            """);
        command.Parameters.Add(new() { Value = tenant.Value });
        var items = new List<EarningsItem>();
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                items.Add(new EarningsItem(
                    SqlNames.Read<EarningsRole>(reader.GetString(0)), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4)));
            }
        }

        var balance = await GetBalance.ReadAsync(database, tenant, cancellationToken);
        return new EarningsSummary(balance.EarnedMicrocredits, balance.EarningsPendingMicrocredits, items);
    }
}
