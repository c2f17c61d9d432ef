using System.Security.Claims;
using Npgsql;
using NpgsqlTypes;
using RenderTrust.Contracts;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Ledger.Credits;

/// <summary>The caller's side of the books, newest first: entries on the caller's own accounts, of one job or of all.</summary>
internal static class ListEntries
{
    private const int MaxEntries = 1000;

    /// <summary>Another tenant's job has no entries on the caller's accounts, so it looks the same as an unknown one.</summary>
    public static async Task<LedgerEntryList> HandleAsync(JobId? jobId, ClaimsPrincipal user, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            SELECT e.entry_id, e.transfer_id, e.account, e.currency, e.amount_microcredits, t.kind, t.job_id, t.at
            FROM ledger_entries e JOIN transfers t ON t.transfer_id = e.transfer_id
            WHERE e.account IN ('creator:' || $1::uuid, 'earnings:' || $1::uuid, 'earnings_pending:' || $1::uuid)
                AND ($2::uuid IS NULL OR t.job_id = $2)
            ORDER BY e.entry_id DESC LIMIT $3
            """);
        command.Parameters.Add(new() { Value = user.TenantId().Value });
        command.Parameters.Add(new NpgsqlParameter { Value = jobId is { } job ? job.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = MaxEntries });
        var entries = new List<LedgerEntryItem>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            entries.Add(new LedgerEntryItem(
                reader.GetInt64(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetInt64(4), reader.GetString(5),
                await reader.IsDBNullAsync(6, cancellationToken) ? null : new JobId(reader.GetGuid(6)), await reader.GetFieldValueAsync<DateTimeOffset>(7, cancellationToken)));
        }

        return new LedgerEntryList(entries);
    }
}
