using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Ledger.Books;

/// <summary>Adds the whole ledger up again, from entries, and compares with what it says of itself. Every finding must be 0.</summary>
internal static class ReadBooks
{
    private const string ClampedShares = "nodeSharesClamped";

    public static Task<BooksReport> HandleAsync(NpgsqlDataSource database, CancellationToken cancellationToken) => ReadAsync(database, cancellationToken);

    internal static async Task<BooksReport> ReadAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        // One snapshot for all questions: the books are compared at one moment.
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var currencies = new Dictionary<string, long>();
        var classes = new List<AccountClassSum>();
        await using (var command = new NpgsqlCommand(
            """
            SELECT e.currency, a.kind, count(DISTINCT e.account), count(*), sum(e.amount_microcredits)::bigint
            FROM ledger_entries e JOIN accounts a ON a.account = e.account GROUP BY 1, 2 ORDER BY 1, 2
            """, connection, transaction))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                var sum = new AccountClassSum(reader.GetString(1), reader.GetString(0), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4));
                classes.Add(sum);
                currencies[sum.Currency] = currencies.GetValueOrDefault(sum.Currency) + sum.SumMicrocredits;
            }
        }

        var findings = new Dictionary<string, long>();
        await using (var command = new NpgsqlCommand(
            """
            SELECT 'unbalancedTransfers', count(*) FROM (
                SELECT 1 FROM ledger_entries GROUP BY transfer_id, currency HAVING sum(amount_microcredits) <> 0) unbalanced
            UNION ALL
            SELECT 'balancesOffTheirEntries', count(*) FROM balances b
                WHERE b.posted_balance <> coalesce((SELECT sum(e.amount_microcredits) FROM ledger_entries e WHERE e.account = b.account), 0)
            UNION ALL
            SELECT 'heldOffTheHolds', count(*) FROM accounts a
                WHERE a.held <> coalesce((SELECT sum(CASE WHEN h.closed_at IS NULL THEN h.amount ELSE h.captured END) FROM holds h WHERE h.account = a.account), 0)
                    - coalesce((SELECT sum(c.charge) FROM captures c JOIN holds h ON h.hold_id = c.hold_id WHERE h.account = a.account AND c.posted_at IS NOT NULL), 0)
            UNION ALL
            SELECT 'holdsOffTheirCaptures', count(*) FROM holds h
                WHERE h.captured <> coalesce((SELECT sum(c.charge) FROM captures c WHERE c.hold_id = h.hold_id), 0)
            UNION ALL
            SELECT 'capturesOffTheirEntries', count(*) FROM captures c JOIN holds h ON h.hold_id = c.hold_id
                WHERE c.transfer_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM ledger_entries e WHERE e.transfer_id = c.transfer_id AND e.account = h.account AND e.amount_microcredits = -c.charge)
            UNION ALL
            SELECT 'captureTransfersWithoutCapture', count(*) FROM transfers t
                WHERE t.kind = 'capture' AND NOT EXISTS (SELECT 1 FROM captures c WHERE c.transfer_id = t.transfer_id AND c.capture_id = t.reference)
            UNION ALL
            SELECT 'nodeSharesClamped', count(*) FROM captures WHERE node_share_clamped
            """, connection, transaction))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                findings[reader.GetString(0)] = reader.GetInt64(1);
            }
        }

        await using var queues = new NpgsqlCommand(
            """
            SELECT (SELECT count(*) FROM captures WHERE posted_at IS NULL),
                (SELECT count(*) FROM captures WHERE posted_at IS NOT NULL AND released_at IS NULL),
                (SELECT count(*) FROM holds WHERE closed_at IS NULL)
            """, connection, transaction);
        await using var queue = await queues.ExecuteReaderAsync(cancellationToken);
        await queue.ReadAsync(cancellationToken);
        // A clamped share is a fault of rates and stays in the list for good; the books are right all the same.
        var balanced = currencies.Values.All(sum => sum == 0) && findings.All(finding => finding.Value == 0 || finding.Key == ClampedShares);
        return new BooksReport(balanced, currencies, classes, findings, queue.GetInt64(0), queue.GetInt64(1), queue.GetInt64(2));
    }
}
