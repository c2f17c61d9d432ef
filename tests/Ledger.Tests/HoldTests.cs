namespace RenderTrust.Ledger.Tests;

public sealed class HoldTests(LedgerDatabase ledger) : IClassFixture<LedgerDatabase>
{
    [Fact]
    public async Task A_hold_lowers_what_is_available_at_once()
    {
        var tenant = await ledger.TenantWithAsync(1000);

        Assert.Equal(("placed", 600), await ledger.PlaceAsync(Guid.CreateVersion7(), tenant, 400));
        Assert.Equal(("placed", 0), await ledger.PlaceAsync(Guid.CreateVersion7(), tenant, 600));
        Assert.Equal(("insufficientCredits", 0), await ledger.PlaceAsync(Guid.CreateVersion7(), tenant, 1));
    }

    [Fact]
    public async Task A_repeated_hold_id_changes_nothing()
    {
        var tenant = await ledger.TenantWithAsync(1000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 400);

        Assert.Equal(("alreadyPlaced", 600), await ledger.PlaceAsync(hold, tenant, 400, expires: LedgerDatabase.Far.AddDays(1)));
        Assert.Equal(400, await ledger.HeldAsync(tenant));
    }

    [Fact]
    public async Task The_same_hold_id_with_other_content_is_a_conflict()
    {
        var tenant = await ledger.TenantWithAsync(1000);
        var other = await ledger.TenantWithAsync(1000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 400);

        Assert.Equal(("conflictingAmount", 600), await ledger.PlaceAsync(hold, tenant, 401));
        Assert.Equal(("conflictingAmount", 600), await ledger.PlaceAsync(hold, tenant, 400, job: Guid.CreateVersion7()));
        Assert.Equal(("conflictingAmount", 1000), await ledger.PlaceAsync(hold, other, 400));
    }

    [Fact]
    public async Task Outcomes_come_in_the_documented_order()
    {
        var tenant = await ledger.TenantWithAsync(1000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 1000);
        await LedgerDatabase.ExecuteAsync(ledger.Ledger, "UPDATE accounts SET blocked = true WHERE account = 'creator:' || $1::uuid", tenant);

        // Blocked and without money: the repeat is still a repeat, the conflict a conflict, and blocked comes before the money.
        Assert.Equal("alreadyPlaced", (await ledger.PlaceAsync(hold, tenant, 1000)).Outcome);
        Assert.Equal("conflictingAmount", (await ledger.PlaceAsync(hold, tenant, 5)).Outcome);
        Assert.Equal("accountBlocked", (await ledger.PlaceAsync(Guid.CreateVersion7(), tenant, 5)).Outcome);
    }

    [Fact]
    public async Task A_tenant_without_an_account_has_no_credits()
    {
        Assert.Equal(("insufficientCredits", 0), await ledger.PlaceAsync(Guid.CreateVersion7(), Guid.CreateVersion7(), 1));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task A_hold_of_nothing_is_the_callers_fault(long amount)
    {
        var tenant = await ledger.TenantWithAsync(1000);

        var fault = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => ledger.PlaceAsync(Guid.CreateVersion7(), tenant, amount));

        Assert.Equal("22023", fault.SqlState);
    }

    [Fact]
    public async Task A_hundred_holds_at_once_on_money_for_thirty_seven_place_thirty_seven()
    {
        var tenant = await ledger.TenantWithAsync(37 * 1000 + 999);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => ledger.PlaceAsync(Guid.CreateVersion7(), tenant, 1000))));

        Assert.Equal(37, outcomes.Count(o => o.Outcome == "placed"));
        Assert.Equal(63, outcomes.Count(o => o.Outcome == "insufficientCredits"));
        Assert.Equal(37_000, await ledger.HeldAsync(tenant));
        await ledger.AssertBooksBalanceAsync();
    }

    [Fact]
    public async Task The_same_hold_from_many_at_once_is_placed_once_even_with_money_for_one()
    {
        for (var round = 0; round < 20; round++)
        {
            var tenant = await ledger.TenantWithAsync(1000);
            var hold = Guid.CreateVersion7();

            var outcomes = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Task.Run(() => ledger.PlaceAsync(hold, tenant, 1000))));

            Assert.Equal(1, outcomes.Count(o => o.Outcome == "placed"));
            Assert.Equal(11, outcomes.Count(o => o.Outcome == "alreadyPlaced"));
        }
    }

    [Fact]
    public async Task One_hold_id_used_by_two_tenants_at_once_holds_the_money_of_one()
    {
        for (var round = 0; round < 20; round++)
        {
            var tenants = new[] { await ledger.TenantWithAsync(1000), await ledger.TenantWithAsync(1000) };
            var hold = Guid.CreateVersion7();

            var outcomes = await Task.WhenAll(tenants.Select(tenant => Task.Run(() => ledger.PlaceAsync(hold, tenant, 700))));

            Assert.Equal(["conflictingAmount", "placed"], outcomes.Select(o => o.Outcome).Order(StringComparer.Ordinal));
            Assert.Equal(700, await ledger.HeldAsync(tenants[0]) + await ledger.HeldAsync(tenants[1]));
        }
    }

    [Fact]
    public async Task A_hold_of_a_transaction_that_rolled_back_never_was()
    {
        var tenant = await ledger.TenantWithAsync(1000);
        await using (var connection = await ledger.Scheduler.OpenConnectionAsync(TestContext.Current.CancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var place = new Npgsql.NpgsqlCommand("SELECT outcome FROM ledger.place_hold_v1($1, $2, 900, now() + '1 h', $1)", connection, transaction)
            {
                Parameters = { new() { Value = Guid.CreateVersion7() }, new() { Value = tenant } },
            };
            Assert.Equal("placed", await place.ExecuteScalarAsync(TestContext.Current.CancellationToken));
            await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(0, await ledger.HeldAsync(tenant));
    }

    [Fact]
    public async Task Closing_gives_back_what_was_not_captured_and_says_so_again()
    {
        var tenant = await ledger.TenantWithAsync(1_000_000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 400_000);
        await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000);

        Assert.Equal(new Closing("closed", 400_000, 100_000, 300_000), await ledger.CloseAsync(hold));
        Assert.Equal(new Closing("alreadyClosed", 400_000, 100_000, 300_000), await ledger.CloseAsync(hold, "another reason"));
        // What was captured stays held until it is posted.
        Assert.Equal(100_000, await ledger.HeldAsync(tenant));
        await ledger.PostAllAsync();
        Assert.Equal(0, await ledger.HeldAsync(tenant));
        Assert.Equal(900_000, await ledger.BalanceAsync($"creator:{tenant}"));
    }

    [Fact]
    public async Task Closing_and_extending_an_unknown_hold_say_so()
    {
        Assert.Equal(new Closing("unknownHold", 0, 0, 0), await ledger.CloseAsync(Guid.CreateVersion7()));
        Assert.Equal("unknownHold", await ledger.ExtendAsync(Guid.CreateVersion7(), LedgerDatabase.Far));
    }

    [Fact]
    public async Task A_hold_is_extended_only_forward_and_never_after_its_end()
    {
        var now = new DateTimeOffset(2031, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var tenant = await ledger.TenantWithAsync(1000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 100, expires: now.AddMinutes(1));

        Assert.Equal("extended", await ledger.ExtendAsync(hold, now.AddMinutes(30)));
        Assert.Equal("extended", await ledger.ExtendAsync(hold, now.AddMinutes(2)));
        await ledger.ExpireAsync(now.AddMinutes(29));
        Assert.Equal(100, await ledger.HeldAsync(tenant));
        await ledger.ExpireAsync(now.AddMinutes(31));
        Assert.Equal(0, await ledger.HeldAsync(tenant));
        Assert.Equal("holdClosed", await ledger.ExtendAsync(hold, now.AddHours(1)));
    }

    [Fact]
    public async Task The_sweep_closes_what_has_expired_and_nothing_else()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var tenant = await ledger.TenantWithAsync(1000);
        var expired = Guid.CreateVersion7();
        var live = Guid.CreateVersion7();
        await ledger.PlaceAsync(expired, tenant, 100, expires: now.AddSeconds(-1));
        await ledger.PlaceAsync(live, tenant, 200, expires: now.AddSeconds(1));

        Assert.Equal(1, await ledger.ExpireAsync(now));
        Assert.Equal(0, await ledger.ExpireAsync(now));

        Assert.Equal(200, await ledger.HeldAsync(tenant));
        Assert.Equal("expired", await LedgerDatabase.ScalarAsync<string>(ledger.Ledger, "SELECT close_reason FROM holds WHERE hold_id = $1", expired));
        Assert.Equal("holdClosed", (await ledger.CaptureAsync(expired, $"{expired}/0", 0, 1)).Outcome);
    }

    [Fact]
    public async Task A_capture_and_a_close_at_once_never_lose_the_captured_credits()
    {
        for (var round = 0; round < 30; round++)
        {
            var tenant = await ledger.TenantWithAsync(1_000_000);
            var hold = Guid.CreateVersion7();
            await ledger.PlaceAsync(hold, tenant, 100_000);

            var capture = Task.Run(() => ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000));
            var close = Task.Run(() => ledger.CloseAsync(hold));
            var taken = await capture;
            var closed = await close;

            Assert.Equal(taken.Outcome == "captured" ? 100_000 : 0, closed.Captured);
            Assert.Equal(closed.Captured, await ledger.HeldAsync(tenant));
        }
    }

    [Fact]
    public async Task The_money_of_a_hold_is_told_while_open_and_after()
    {
        var tenant = await ledger.TenantWithAsync(1_000_000);
        var hold = Guid.CreateVersion7();
        await ledger.PlaceAsync(hold, tenant, 400_000);
        await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000);

        Assert.Equal([400_000L, 100_000L, 0L, 40_000L, 42_000L, 18_000L, false], await MoneyAsync(hold));
        Assert.Equal([400_000L, 100_000L, false], await RowAsync("hold_room_v1", hold));
        await ledger.CloseAsync(hold);
        Assert.Equal([400_000L, 100_000L, 300_000L, 40_000L, 42_000L, 18_000L, true], await MoneyAsync(hold));
        Assert.Equal([400_000L, 100_000L, true], await RowAsync("hold_room_v1", hold));
    }

    private Task<object[]> MoneyAsync(Guid hold) => RowAsync("hold_money_v1", hold);

    private async Task<object[]> RowAsync(string function, Guid hold)
    {
        await using var command = LedgerDatabase.Command(ledger.Scheduler, $"SELECT * FROM ledger.{function}($1)", hold);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
        var values = new object[reader.FieldCount];
        reader.GetValues(values);
        return values;
    }
}
