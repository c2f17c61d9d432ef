using RenderTrust.Client;
using RenderTrust.Contracts;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>The books, by SQL of our own that shares nothing with the ledger.</summary>
internal static class Books
{
    /// <summary>The job is over and paid: hold closed, every completed unit charged once and posted, shares exact, all accounts in balance.</summary>
    public static async Task AssertClosedAsync(PlatformFixture platform, RenderTrustClient creator, JobId jobId)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var job = await Wait.ForAsync(() => creator.Jobs.GetSummaryAsync(jobId, cancellationToken), summary => summary.Money.HoldClosed, "the hold to be closed");
        var money = job.Money;
        Assert.Equal(money.HeldMicrocredits, money.ChargedMicrocredits + money.ReleasedMicrocredits);
        Assert.Equal(money.ChargedMicrocredits, money.NodeEarnedMicrocredits + money.DeveloperEarnedMicrocredits + money.PlatformEarnedMicrocredits);

        Assert.Equal(job.UnitsCompleted, await CountAsync(platform, "SELECT count(*) FROM ledger.captures WHERE hold_id = (SELECT hold_id FROM ledger.holds WHERE job_id = $1)", jobId));
        Assert.Equal(job.UnitsCompleted, await CountAsync(platform, "SELECT count(DISTINCT unit_index) FROM ledger.captures WHERE hold_id = (SELECT hold_id FROM ledger.holds WHERE job_id = $1)", jobId));
        Assert.Equal(money.ChargedMicrocredits, await CountAsync(platform, "SELECT coalesce(sum(charge), 0)::bigint FROM ledger.captures WHERE hold_id = (SELECT hold_id FROM ledger.holds WHERE job_id = $1)", jobId));
        await Wait.ForAsync(() => CountAsync(platform, "SELECT count(*) FROM ledger.captures WHERE hold_id = (SELECT hold_id FROM ledger.holds WHERE job_id = $1) AND posted_at IS NULL", jobId), open => open == 0, "every capture to be posted");
        Assert.Equal(
            -money.ChargedMicrocredits,
            await CountAsync(
                platform,
                "SELECT coalesce(sum(e.amount_microcredits), 0)::bigint FROM ledger.ledger_entries e JOIN ledger.transfers t USING (transfer_id) WHERE t.job_id = $1 AND e.account LIKE 'creator:%'",
                jobId));
        await AssertBalancedAsync(platform);
        Assert.Equal(0, (await creator.Credits.GetBalanceAsync(cancellationToken)).ReservedMicrocredits);
    }

    public static async Task AssertBalancedAsync(PlatformFixture platform)
    {
        Assert.Equal(0, await platform.SqlAsync<long>("SELECT coalesce(sum(amount_microcredits), 0)::bigint FROM ledger.ledger_entries"));
        Assert.Equal(
            0,
            await platform.SqlAsync<long>(
                "SELECT count(*) FROM (SELECT 1 FROM ledger.ledger_entries GROUP BY transfer_id, currency HAVING sum(amount_microcredits) <> 0) unbalanced"));
    }

    private static Task<long> CountAsync(PlatformFixture platform, string sql, JobId jobId) => platform.SqlAsync<long>(sql, jobId.Value);
}
