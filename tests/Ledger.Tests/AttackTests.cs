using Npgsql;

namespace RenderTrust.Ledger.Tests;

/// <summary>Statements that the ledger's own role sends past its functions. Each must fail, and leave the books as they were.</summary>
public sealed class AttackTests(LedgerDatabase ledger) : IClassFixture<LedgerDatabase>
{
    private const string NewTransfer = "INSERT INTO transfers (transfer_id, kind, reference, at) VALUES (gen_random_uuid(), 'topUp', gen_random_uuid()::text, now())";

    private const string OneTransfer =
        "WITH t AS (INSERT INTO transfers (transfer_id, kind, reference, at) VALUES ('{0}', 'topUp', '{0}', now()) RETURNING 1) SELECT * FROM t;";

    public static TheoryData<string, string> Attacks { get; } = new()
    {
        { "a transfer without entries", NewTransfer },
        { "an entry of one side", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', 5)" },
        { "entries that do not sum to zero", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', 5), ('{0}', 'platform:revenue', -4)" },
        { "entries that balance only across currencies", OneTransfer + "INSERT INTO accounts (account, kind, currency) VALUES ('platform:usd-{0}', 'platform', 'USD'); INSERT INTO ledger_entries (transfer_id, account, currency, amount_microcredits) VALUES ('{0}', '{creator}', 'CREDIT', 5), ('{0}', 'platform:usd-{0}', 'USD', -5)" },
        { "an entry in a currency that is not the account's", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, currency, amount_microcredits) VALUES ('{0}', '{creator}', 'USD', 5), ('{0}', 'platform:revenue', 'USD', -5)" },
        { "an entry after the check was made", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', 5), ('{0}', 'platform:revenue', -5); SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', 7)" },
        { "balanced entries on a finished transfer", "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) SELECT transfer_id, a, m FROM (SELECT transfer_id FROM transfers LIMIT 1) t, (VALUES ('{creator}', 5), ('platform:revenue', -5)) e (a, m)" },
        { "an entry of nothing", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', 0)" },
        { "a balance below zero", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', -1000001), ('{0}', 'platform:revenue', 1000001)" },
        { "spending what is held", OneTransfer + "INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', '{creator}', -600001), ('{0}', 'platform:revenue', 600001)" },
        { "earnings below zero", OneTransfer + "INSERT INTO accounts (account, kind, tenant_id) VALUES ('earnings:{0}', 'earnings', '{0}'); INSERT INTO ledger_entries (transfer_id, account, amount_microcredits) VALUES ('{0}', 'earnings:{0}', -1), ('{0}', '{creator}', 1)" },
        { "another balance", "UPDATE accounts SET posted_balance = posted_balance + 1 WHERE account = '{creator}'" },
        { "a balance on a hot account", "UPDATE accounts SET posted_balance = 1 WHERE account = 'platform:revenue'" },
        { "less held", "UPDATE accounts SET held = 0 WHERE account = '{creator}'" },
        { "more held", "UPDATE accounts SET held = held + 1 WHERE account = '{creator}'" },
        { "an account that begins rich", "INSERT INTO accounts (account, kind, tenant_id, posted_balance) VALUES ('creator:{0}', 'creator', '{0}', 100)" },
        { "an account under another's name", "INSERT INTO accounts (account, kind, tenant_id) VALUES ('creator:x', 'creator', '{0}')" },
        { "a renamed account", "UPDATE accounts SET account = 'creator:{0}', tenant_id = '{0}' WHERE account = '{creator}'" },
        { "a removed account", "DELETE FROM accounts WHERE account = '{creator}'" },
        { "a changed entry", "UPDATE ledger_entries SET amount_microcredits = 1" },
        { "a removed entry", "DELETE FROM ledger_entries" },
        { "truncated entries", "TRUNCATE ledger_entries" },
        { "a changed transfer", "UPDATE transfers SET at = now()" },
        { "a removed transfer", "DELETE FROM transfers" },
        { "everything truncated", "TRUNCATE accounts CASCADE" },
        { "a larger hold", "UPDATE holds SET amount = amount + 1 WHERE hold_id = '{hold}'" },
        { "a hold without money", "INSERT INTO holds (hold_id, tenant_id, account, job_id, amount, expires_at) SELECT '{0}', tenant_id, account, '{0}', 600001, now() FROM accounts WHERE account = '{creator}'" },
        { "a hold on another's account", "INSERT INTO holds (hold_id, tenant_id, account, job_id, amount, expires_at) VALUES ('{0}', '{0}', '{creator}', '{0}', 1, now())" },
        { "a hold that begins captured", "INSERT INTO holds (hold_id, tenant_id, account, job_id, amount, captured, expires_at) SELECT '{0}', tenant_id, account, '{0}', 5, 5, now() FROM accounts WHERE account = '{creator}'" },
        { "more captured without a capture", "UPDATE holds SET captured = captured + 1 WHERE hold_id = '{hold}'" },
        { "less captured", "UPDATE holds SET captured = 0 WHERE hold_id = '{hold}'" },
        { "a reopened hold", "UPDATE holds SET closed_at = NULL, close_reason = NULL WHERE hold_id = '{closed}'" },
        { "a removed hold", "DELETE FROM holds" },
        { "a capture past the hold", "INSERT INTO captures (capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module, developer_percent, charge, node_share, developer_share, platform_share) VALUES ('{0}', '{hold}', 77, '{0}', 1, 1, 1, '{0}', '{0}', 'm', 70, 400001, 0, 0, 400001)" },
        { "a capture on a closed hold", "INSERT INTO captures (capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module, developer_percent, charge, node_share, developer_share, platform_share) VALUES ('{0}', '{closed}', 77, '{0}', 1, 1, 1, '{0}', '{0}', 'm', 70, 1, 0, 0, 1)" },
        { "shares that are not the charge", "INSERT INTO captures (capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module, developer_percent, charge, node_share, developer_share, platform_share) VALUES ('{0}', '{hold}', 77, '{0}', 1, 1, 1, '{0}', '{0}', 'm', 70, 10, 5, 5, 1)" },
        { "a second capture of a unit", "INSERT INTO captures (capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module, developer_percent, charge, node_share, developer_share, platform_share) VALUES ('{0}', '{hold}', 0, '{0}', 1, 1, 1, '{0}', '{0}', 'm', 70, 1, 0, 0, 1)" },
        { "another charge", "UPDATE captures SET charge = 1, node_share = 0, developer_share = 0, platform_share = 1" },
        { "posted without a transfer", "UPDATE captures SET posted_at = now(), release_at = now() WHERE hold_id = '{hold}'" },
        { "a removed capture", "DELETE FROM captures" },
        { "a lower lifetime of a module", "DELETE FROM module_gross" },
        { "changed usage", "UPDATE usage_events SET charge = 0" },
        { "a transfer posted twice", "INSERT INTO transfers (transfer_id, kind, reference, at) SELECT gen_random_uuid(), kind, reference, now() FROM transfers LIMIT 1" },
    };

    [Theory]
    [MemberData(nameof(Attacks))]
    public async Task The_tables_refuse(string what, string sql)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var tenant = await ledger.TenantWithAsync(1_000_000);
        var (hold, closed) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        await ledger.PlaceAsync(hold, tenant, 400_000);
        await ledger.CaptureAsync(hold, $"{hold}/0", 0, 600);
        await ledger.PlaceAsync(closed, tenant, 1_000);
        await ledger.CloseAsync(closed);
        var statement = sql.Replace("{0}", Guid.CreateVersion7().ToString(), StringComparison.Ordinal)
            .Replace("{creator}", $"creator:{tenant}", StringComparison.Ordinal)
            .Replace("{hold}", hold.ToString(), StringComparison.Ordinal)
            .Replace("{closed}", closed.ToString(), StringComparison.Ordinal);

        await using var connection = await ledger.Ledger.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var command = new NpgsqlCommand(statement, connection, transaction);
        var refusal = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            await command.ExecuteNonQueryAsync(cancellation);
            await transaction.CommitAsync(cancellation);
        });

        // Class 23: integrity constraints; ours and the tables' own. Anything else would be a broken statement, which proves nothing.
        Assert.True(refusal.SqlState.StartsWith("23", StringComparison.Ordinal), $"{what}: {refusal.SqlState} {refusal.MessageText}");
        await transaction.DisposeAsync();
        Assert.Equal(400_000, await ledger.HeldAsync(tenant));
        await ledger.AssertBooksBalanceAsync();
    }

    [Theory]
    [InlineData("SELECT * FROM ledger.accounts")]
    [InlineData("INSERT INTO ledger.holds (hold_id) VALUES (gen_random_uuid())")]
    [InlineData("UPDATE ledger.captures SET charge = 0")]
    [InlineData("SELECT ledger.top_up(gen_random_uuid(), gen_random_uuid(), 5, now())")]
    [InlineData("SELECT ledger.post_captures(now(), 0, 1)")]
    [InlineData("SELECT ledger.expire_holds(now(), 1)")]
    [InlineData("CREATE TABLE ledger.mine (id int)")]
    public async Task The_scheduler_has_the_hold_functions_and_nothing_else(string sql)
    {
        var refusal = await Assert.ThrowsAsync<PostgresException>(() => LedgerDatabase.ExecuteAsync(ledger.Scheduler, sql));

        Assert.Equal("42501", refusal.SqlState);
    }

    [Fact]
    public async Task The_functions_that_others_may_call_are_the_seven_of_the_contract()
    {
        var granted = await LedgerDatabase.ScalarAsync<string[]>(
            ledger.Ledger,
            """
            SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc
            WHERE pronamespace = 'ledger'::regnamespace AND has_function_privilege('rendertrust_scheduler', oid, 'EXECUTE')
            """);
        var outsiders = await LedgerDatabase.ScalarAsync<long>(
            ledger.Ledger, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND has_function_privilege('rendertrust_catalog', oid, 'EXECUTE')");

        Assert.Equal(["capture_unit_v1", "close_hold_v1", "extend_hold_v1", "hold_money_v1", "hold_room_v1", "hold_settled_v1", "place_hold_v1"], granted);
        Assert.Equal(0, outsiders);
    }

    [Fact]
    public async Task A_temporary_table_of_the_caller_does_not_stand_in_for_the_ledgers()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using (var allow = ledger.Admin().CreateCommand("DO $$ BEGIN EXECUTE format('GRANT TEMP ON DATABASE %I TO rendertrust_scheduler', current_database()); END $$"))
        {
            await allow.ExecuteNonQueryAsync(cancellation);
        }

        await using var connection = await ledger.Scheduler.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(
            """
            CREATE TEMP TABLE accounts (account text, blocked boolean, posted_balance bigint, held bigint);
            INSERT INTO accounts VALUES ('creator:00000000-0000-7000-8000-00000000beef', false, 1000000, 0);
            GRANT ALL ON accounts TO PUBLIC;
            """, connection);
        await command.ExecuteNonQueryAsync(cancellation);
        await using var place = new NpgsqlCommand(
            "SELECT outcome FROM ledger.place_hold_v1(gen_random_uuid(), '00000000-0000-7000-8000-00000000beef', 5, now(), gen_random_uuid())", connection);

        Assert.Equal("insufficientCredits", await place.ExecuteScalarAsync(cancellation));
    }
}
