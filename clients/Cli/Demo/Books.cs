using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Cli.Demo;

/// <summary>The ledger summed again from its entries, by queries of our own that share no code with the ledger.</summary>
/// <param name="SumByCurrency">Must be 0 for each.</param>
/// <param name="UnbalancedTransfers">Transfers whose entries do not sum to 0 in some currency.</param>
internal sealed record Books(
    IReadOnlyDictionary<string, long> SumByCurrency, long UnbalancedTransfers, long Entries, IReadOnlyDictionary<string, long> ByAccount)
{
    public long TotalMicrocredits => SumByCurrency.Values.Sum();

    public bool Balanced => SumByCurrency.Values.All(sum => sum == 0) && UnbalancedTransfers == 0;

    public static async Task<Books> ReadAsync(string connectionString, CancellationToken cancellationToken)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        var byCurrency = await ReadAsync(source, "SELECT currency, sum(amount_microcredits)::bigint FROM ledger.ledger_entries GROUP BY 1", cancellationToken);
        var byAccount = await ReadAsync(source, "SELECT account, sum(amount_microcredits)::bigint FROM ledger.ledger_entries GROUP BY 1", cancellationToken);
        var counts = await ReadAsync(
            source,
            """
            SELECT 'entries', count(*) FROM ledger.ledger_entries
            UNION ALL
            SELECT 'unbalanced', count(*) FROM (
                SELECT 1 FROM ledger.ledger_entries GROUP BY transfer_id, currency HAVING sum(amount_microcredits) <> 0) unbalanced
            """,
            cancellationToken);
        return new Books(byCurrency, counts["unbalanced"], counts["entries"], byAccount);
    }

    /// <summary>What one job was charged, and what its creator paid for it.</summary>
    public static async Task<JobCharges> ReadChargesAsync(string connectionString, JobId jobId, CancellationToken cancellationToken)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(
            """
            SELECT count(*), count(DISTINCT c.unit_index), coalesce(sum(c.charge), 0)::bigint,
                (SELECT coalesce(-sum(e.amount_microcredits), 0)::bigint FROM ledger.ledger_entries e JOIN ledger.transfers t USING (transfer_id)
                 WHERE t.job_id = $1 AND e.account LIKE 'creator:%')
            FROM ledger.captures c JOIN ledger.holds h USING (hold_id) WHERE h.job_id = $1
            """);
        command.Parameters.Add(new NpgsqlParameter { Value = jobId.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new JobCharges(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }

    private static async Task<Dictionary<string, long>> ReadAsync(NpgsqlDataSource source, string sql, CancellationToken cancellationToken)
    {
        var rows = new Dictionary<string, long>();
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows[reader.GetString(0)] = reader.GetInt64(1);
        }

        return rows;
    }
}

/// <param name="Charges">Captures of the job's hold.</param>
/// <param name="Units">Different units among them.</param>
/// <param name="PaidMicrocredits">What left the creator's account for it.</param>
internal sealed record JobCharges(long Charges, long Units, long ChargedMicrocredits, long PaidMicrocredits)
{
    public bool AreOnce(int unitCount, long chargedMicrocredits) =>
        Charges == unitCount && Units == unitCount && ChargedMicrocredits == chargedMicrocredits && PaidMicrocredits == chargedMicrocredits;
}
