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
