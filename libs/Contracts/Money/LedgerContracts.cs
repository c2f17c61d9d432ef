using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Contracts;

/// <summary>Money rules that several parts must compute alike. All amounts are micro-credits, all divisions round down.</summary>
public static class Pricing
{
    public const long MicrocreditsPerCredit = 1_000_000;

    /// <summary>Micro-credits per device millisecond times milliseconds, rounded down; exact in 128 bits.</summary>
    public static long Charge(long meteredMilliseconds, long ratePerMinuteMicrocredits) =>
        checked((long)((Int128)meteredMilliseconds * ratePerMinuteMicrocredits / 60_000));

    /// <summary>The most that a job can cost; rounded up per unit, because each unit is charged by itself.</summary>
    public static long WorstCase(int unitCount, int maxUnitDeviceSeconds, long ratePerMinuteMicrocredits) =>
        checked((long)(unitCount * UnitWorstCase(maxUnitDeviceSeconds, ratePerMinuteMicrocredits)));

    public static Int128 UnitWorstCase(int maxUnitDeviceSeconds, long ratePerMinuteMicrocredits) =>
        ((Int128)maxUnitDeviceSeconds * ratePerMinuteMicrocredits + 59) / 60;
}

/// <summary><c>GET /v1/credits</c>: Available can be spent, Reserved is held for running jobs.</summary>
public sealed record CreditBalance(long AvailableMicrocredits, long ReservedMicrocredits, long EarnedMicrocredits, long EarningsPendingMicrocredits);

/// <summary><c>POST /v1/credits/top-ups</c> (Development only). The id makes repeats harmless.</summary>
public sealed record TopUpRequest(Guid TopUpId, [property: Range(1, 1_000_000_000_000)] long AmountMicrocredits);

public enum TopUpOutcome
{
    Created,
    AlreadyCreated,
    ConflictingAmount,
}

public sealed record TopUpResponse(TopUpOutcome Outcome, CreditBalance Balance, string? Explanation);

/// <summary>Outcome of <c>ledger.place_hold_v1</c>, in the order of the checks; text in SQL is the camelCase name.</summary>
public enum HoldOutcome
{
    Placed,
    AlreadyPlaced,
    ConflictingAmount,
    AccountBlocked,
    InsufficientCredits,
}

/// <summary><c>GET /v1/credits/entries?jobId=</c>: the caller's side of the books.</summary>
public sealed record LedgerEntryList(IReadOnlyList<LedgerEntryItem> Entries);

public sealed record LedgerEntryItem(long EntryId, Guid TransferId, string Account, string Currency, long AmountMicrocredits, string Kind, JobId? JobId, DateTimeOffset At);

/// <summary>Whose work earned it.</summary>
public enum EarningsRole
{
    Node,
    Developer,
}

/// <summary><c>GET /v1/earnings</c>: what the caller's nodes and modules have earned.</summary>
public sealed record EarningsSummary(long EarnedMicrocredits, long PendingMicrocredits, IReadOnlyList<EarningsItem> Items);

public sealed record EarningsItem(EarningsRole Role, string Module, long Units, long MeteredMilliseconds, long AmountMicrocredits);

/// <summary><c>POST /internal/holds</c>: <c>ledger.place_hold_v1</c> over HTTP, for callers without the database.</summary>
public sealed record PlaceHoldRequest(
    Guid HoldId, TenantId TenantId, [property: Range(1, long.MaxValue)] long AmountMicrocredits, DateTimeOffset ExpiresAt, JobId JobId);

public sealed record PlaceHoldResponse(HoldOutcome Outcome, long AvailableMicrocredits);

/// <summary><c>GET /internal/books</c>: the ledger added up again from its entries.</summary>
/// <param name="Balanced">Every currency sums to 0 and no rows disagree. <c>nodeSharesClamped</c> alone does not count: rates were wrong there, not the books.</param>
/// <param name="Findings">Rows that disagree with each other, by the rule they break.</param>
public sealed record BooksReport(
    bool Balanced, IReadOnlyDictionary<string, long> SumMicrocreditsByCurrency, IReadOnlyList<AccountClassSum> AccountClasses,
    IReadOnlyDictionary<string, long> Findings, long UnpostedCaptures, long UnreleasedCaptures, long OpenHolds);

public sealed record AccountClassSum(string Kind, string Currency, long Accounts, long Entries, long SumMicrocredits);
