namespace RenderTrust.Ledger.Tests;

public sealed class CaptureTests(LedgerDatabase ledger) : IClassFixture<LedgerDatabase>
{
    private async Task<(Guid Tenant, Guid Hold)> HoldOfAsync(long amount)
    {
        var tenant = await ledger.TenantWithAsync(amount);
        var hold = Guid.CreateVersion7();
        Assert.Equal("placed", (await ledger.PlaceAsync(hold, tenant, amount)).Outcome);
        return (tenant, hold);
    }

    [Theory]
    // 90,001 ms at 100,000 per minute is 150,001.66…: every division rounds down, the platform has the rest.
    [InlineData(90_001, 100_000, 40_000, 150_001, 60_000, 63_000, 27_001)]
    [InlineData(60_000, 100_000, 40_000, 100_000, 40_000, 42_000, 18_000)]
    [InlineData(1, 100_000, 40_000, 1, 0, 0, 1)]
    [InlineData(0, 100_000, 40_000, 0, 0, 0, 0)]
    [InlineData(60_000, 40_000, 40_000, 40_000, 40_000, 0, 0)]
    [InlineData(60_000, 100_000, 0, 100_000, 0, 70_000, 30_000)]
    // The product passes 64 bits; the shares are exact all the same.
    [InlineData(31_536_000_000, 999_999_999_999, 999_999_999_998, 525_599_999_999_474_400, 525_599_999_998_948_800, 367_920, 157_680)]
    public async Task Charge_and_shares_are_exact(long ms, long rate, long nodeRate, long charge, long node, long developer, long platform)
    {
        var (_, hold) = await HoldOfAsync(600_000_000_000_000_000);

        var capture = await ledger.CaptureAsync(hold, $"{hold}/0", 0, ms, rate, nodeRate, module: $"exact-{hold:N}@1.0.0");

        Assert.Equal(new Capture("captured", charge, node, developer, platform), capture);
        Assert.Equal(charge, Contracts.Pricing.Charge(ms, rate));
    }

    [Fact]
    public async Task A_repeated_capture_is_answered_with_the_first_figures()
    {
        var (_, hold) = await HoldOfAsync(1_000_000);
        var first = await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000);

        Assert.Equal(first with { Outcome = "alreadyCaptured" }, await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000));
    }

    [Fact]
    public async Task A_unit_is_paid_once_though_another_attempt_delivers_it_too()
    {
        var (_, hold) = await HoldOfAsync(1_000_000);
        var first = await ledger.CaptureAsync(hold, $"{hold}/0/attempt-1", 0, 60_000);

        var second = await ledger.CaptureAsync(hold, $"{hold}/0/attempt-2", 0, 90_000, attempt: Guid.CreateVersion7());

        Assert.Equal(first with { Outcome = "alreadyCaptured" }, second);
        Assert.Equal(100_000, (await ledger.CloseAsync(hold)).Captured);
    }

    [Fact]
    public async Task The_same_capture_id_with_other_content_is_a_conflict()
    {
        var (_, hold) = await HoldOfAsync(1_000_000);
        var (_, other) = await HoldOfAsync(1_000_000);
        var id = $"{hold}/0";
        await ledger.CaptureAsync(hold, id, 0, 60_000);
        var conflict = new Capture("conflictingAmount", 0, 0, 0, 0);

        Assert.Equal(conflict, await ledger.CaptureAsync(hold, id, 0, 60_001));
        Assert.Equal(conflict, await ledger.CaptureAsync(hold, id, 1, 60_000));
        Assert.Equal(conflict, await ledger.CaptureAsync(other, id, 0, 60_000));
        Assert.Equal(conflict, await ledger.CaptureAsync(hold, id, 0, 60_000, node: Guid.CreateVersion7()));
    }

    [Fact]
    public async Task Outcomes_come_in_the_documented_order()
    {
        var (_, hold) = await HoldOfAsync(150_000);
        Assert.Equal("captured", (await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000)).Outcome);

        Assert.Equal(new Capture("exceedsHold", 0, 0, 0, 0), await ledger.CaptureAsync(hold, $"{hold}/1", 1, 60_000));
        Assert.Equal("captured", (await ledger.CaptureAsync(hold, $"{hold}/1", 1, 30_000)).Outcome);
        await ledger.CloseAsync(hold);
        Assert.Equal("alreadyCaptured", (await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000)).Outcome);
        Assert.Equal("alreadyCaptured", (await ledger.CaptureAsync(hold, $"{hold}/0/again", 0, 60_000)).Outcome);
        Assert.Equal("conflictingAmount", (await ledger.CaptureAsync(hold, $"{hold}/0", 0, 1)).Outcome);
        Assert.Equal("holdClosed", (await ledger.CaptureAsync(hold, $"{hold}/2", 2, 600_000)).Outcome);
        Assert.Equal("unknownHold", (await ledger.CaptureAsync(Guid.CreateVersion7(), $"{hold}/3", 0, 1)).Outcome);
    }

    [Fact]
    public async Task Nodes_of_ones_own_organisation_work_for_nothing()
    {
        var (tenant, hold) = await HoldOfAsync(1_000_000);

        Assert.Equal(new Capture("captured", 100_000, 0, 70_000, 30_000), await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000, node: tenant, module: "own@1.0.0"));
    }

    [Fact]
    public async Task A_node_rate_above_the_rate_gives_the_node_the_charge_and_shows_in_the_books()
    {
        var (_, hold) = await HoldOfAsync(1_000_000);
        var before = (await ledger.BooksAsync()).Findings["nodeSharesClamped"];

        Assert.Equal(new Capture("captured", 30_000, 30_000, 0, 0), await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000, rate: 30_000));

        Assert.Equal(before + 1, (await ledger.BooksAsync()).Findings["nodeSharesClamped"]);
    }

    [Fact]
    public async Task The_developers_share_rises_after_ten_thousand_credits_over_all_versions_and_stays()
    {
        const long threshold = 10_000_000_000;
        var module = $"tiers-{Guid.CreateVersion7():N}";
        var (_, hold) = await HoldOfAsync(3 * threshold);

        // Exactly the threshold has not passed it.
        await ledger.CaptureAsync(hold, $"{hold}/0", 0, 60_000, rate: threshold, nodeRate: 0, module: $"{module}@1.0.0");
        await ledger.PostAllAsync();
        Assert.Equal(70, (await ledger.CaptureAsync(hold, $"{hold}/1", 1, 60_000, rate: 100, nodeRate: 0, module: $"{module}@1.0.0")).Developer);
        await ledger.PostAllAsync();
        Assert.Equal(85, (await ledger.CaptureAsync(hold, $"{hold}/2", 2, 60_000, rate: 100, nodeRate: 0, module: $"{module}@2.0.0")).Developer);

        // A refund later lowers the gross, not the tier.
        await LedgerDatabase.ExecuteAsync(ledger.Ledger, "UPDATE module_gross SET gross_microcredits = 0, upper_tier_since = NULL WHERE module_name = $1", module);
        Assert.Equal(85, (await ledger.CaptureAsync(hold, $"{hold}/3", 3, 60_000, rate: 100, nodeRate: 0, module: $"{module}@2.0.0")).Developer);
    }

    [Fact]
    public async Task Captures_of_many_at_once_never_exceed_the_hold()
    {
        var (_, hold) = await HoldOfAsync(37 * 100_000);

        var captures = await Task.WhenAll(Enumerable.Range(0, 60).Select(unit => Task.Run(() => ledger.CaptureAsync(hold, $"{hold}/{unit}", unit, 60_000))));

        Assert.Equal(37, captures.Count(c => c.Outcome == "captured"));
        Assert.Equal(23, captures.Count(c => c.Outcome == "exceedsHold"));
    }

    [Fact]
    public async Task One_unit_from_many_at_once_is_captured_once()
    {
        for (var round = 0; round < 20; round++)
        {
            var (_, hold) = await HoldOfAsync(1_000_000);

            var captures = await Task.WhenAll(Enumerable.Range(0, 10).Select(attempt => Task.Run(() => ledger.CaptureAsync(hold, $"{hold}/0/{attempt % 3}", 0, 60_000))));

            Assert.Equal(1, captures.Count(c => c.Outcome == "captured"));
            Assert.Equal(9, captures.Count(c => c.Outcome == "alreadyCaptured"));
        }
    }

    [Fact]
    public async Task One_capture_id_on_two_holds_at_once_is_captured_on_one()
    {
        for (var round = 0; round < 20; round++)
        {
            var holds = new[] { (await HoldOfAsync(1_000_000)).Hold, (await HoldOfAsync(1_000_000)).Hold };

            var captures = await Task.WhenAll(holds.Select(hold => Task.Run(() => ledger.CaptureAsync(hold, $"shared/{holds[0]}", 0, 60_000))));

            Assert.Equal(["captured", "conflictingAmount"], captures.Select(c => c.Outcome).Order(StringComparer.Ordinal));
        }

        await ledger.PostAllAsync();
        Assert.Equal(0, (await ledger.BooksAsync()).Findings["holdsOffTheirCaptures"]);
    }

    [Fact]
    public async Task Values_below_zero_are_the_callers_fault()
    {
        var (_, hold) = await HoldOfAsync(1_000_000);

        var fault = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => ledger.CaptureAsync(hold, $"{hold}/0", 0, -1));

        Assert.Equal("22023", fault.SqlState);
    }
}
