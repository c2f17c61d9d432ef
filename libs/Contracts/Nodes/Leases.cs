namespace RenderTrust.Contracts;

/// <summary>Scheduler to the hub that holds the node's stream: <c>POST /internal/hub/leases</c> on that hub's app id.</summary>
/// <param name="Grants">Only those for the node's own key.</param>
public sealed record LeaseOffer(
    NodeId NodeId, long Epoch, AttemptId AttemptId, long FencingToken, int Slot,
    TenantId TenantId, JobId JobId, TaskId TaskId, int UnitIndex, int UnitCount, int AttemptNumber,
    string Module, ModuleRuntime Runtime, AssetRef Manifest, IReadOnlyList<AssetRef> Assets, IReadOnlyList<AssetGrant> Grants,
    int MaxUnitDeviceSeconds, DateTimeOffset LeaseExpiresAt);

public enum LeaseOfferOutcome
{
    Acknowledged,
    Refused,
    NoSession,
    StaleEpoch,
    NotAcknowledged,
}

/// <param name="RoundTripMs">Offer written to acknowledgement read, on the hub's clock.</param>
/// <param name="Reason">Why the node refused.</param>
public sealed record LeaseOfferResponse(LeaseOfferOutcome Outcome, double RoundTripMs, string? Reason);

/// <summary><c>POST /internal/hub/revocations</c>: stop the attempt and confirm that it has ended.</summary>
public sealed record LeaseRevocation(NodeId NodeId, long Epoch, AttemptId AttemptId, long FencingToken, string Reason);

public sealed record LeaseRevocationResponse(bool Delivered);

/// <summary>Hub to scheduler: <c>POST /internal/results</c>.</summary>
/// <param name="Spans">What the node did, for the job's trace; absent when the attempt is not traced.</param>
public sealed record UnitResultReport(
    NodeId NodeId, long Epoch, AttemptId AttemptId, long FencingToken, bool Succeeded,
    long MeteredMilliseconds, IReadOnlyList<UnitOutput> Outputs, string? FailureClass, string? FailureReason, DateTimeOffset ReceivedAt,
    IReadOnlyList<NodeSpan>? Spans = null);

/// <summary>Outcomes in the order of the checks. Every one is final: the agent forgets the result. Without an answer it keeps it and sends it again.</summary>
public enum ResultOutcome
{
    Accepted,
    AlreadyAccepted,
    UnknownAttempt,
    StaleToken,
    JobEnded,
}

public sealed record UnitResultResponse(ResultOutcome Outcome, string? Explanation);

/// <summary>Hub to scheduler, batched: <c>POST /internal/progress</c>. Lost batches are harmless.</summary>
public sealed record ProgressBatch(IReadOnlyList<UnitProgressReport> Reports);

public sealed record UnitProgressReport(NodeId NodeId, long Epoch, AttemptId AttemptId, long FencingToken, double Progress);

/// <summary>What a lease-bound blob token of the hub says. Signed by the hub; carried in the Authorization header.</summary>
public sealed record LeaseBlobClaims(
    NodeId NodeId, AttemptId AttemptId, long FencingToken, TenantId TenantId, IReadOnlyList<string> ReadableSha256, DateTimeOffset ExpiresAt);
