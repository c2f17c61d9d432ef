namespace RenderTrust.Contracts;

/// <summary>Gateway to scheduler: <c>POST /internal/jobs</c>. The gateway has authenticated the tenant and checked the spec's form.</summary>
public sealed record SubmitJobRequest(TenantId TenantId, string ContextId, JobSpec Spec, DateTimeOffset ReceivedAt);

/// <summary>Outcomes in the order of the checks. Look-up by id comes first, so a retry answers as the first call did.</summary>
public enum SubmitOutcome
{
    Accepted,
    AlreadyAccepted,
    ConflictingContent,
    UnknownModule,
    ManifestRateBelowNodeRate,
    NoEligibleRecipient,
    CapBelowPrice,
    AccountBlocked,
    InsufficientCredits,
}

/// <param name="PriceMicrocredits">Worst case: units x maxUnitDeviceSeconds x rate.</param>
/// <param name="Explanation">Cause, value and remedy when refused.</param>
public sealed record SubmitJobResponse(
    SubmitOutcome Outcome,
    TaskId? TaskId,
    long PriceMicrocredits,
    long AvailableMicrocredits,
    string? Explanation);
