namespace RenderTrust.Contracts;

/// <summary><c>GET /v1/jobs</c>.</summary>
public sealed record JobList(IReadOnlyList<JobListItem> Jobs, string? NextCursor);

public sealed record JobListItem(
    JobId JobId, TaskId TaskId, string Module, JobStatus Status, string? Reason,
    int UnitCount, int UnitsCompleted, int UnitsFailed, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt,
    long ChargedMicrocredits = 0, long PriceMicrocredits = 0, long LastSeq = 0);

/// <summary><c>GET /v1/jobs/{jobId}</c>: everything that explains a job and its cost. With <c>?units=none</c> the units are left out.</summary>
/// <param name="LastSeq">Of the job's log, as this answer saw it: events up to it say nothing new.</param>
public sealed record JobSummary(
    JobId JobId, TaskId TaskId, string Module, JobStatus Status, string? Reason,
    int UnitCount, int UnitsCompleted, int UnitsFailed, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt,
    JobMoney Money, IReadOnlyList<UnitSummary> Units, IReadOnlyList<TimingSummary> Timings,
    DateTimeOffset? DeadlineAt = null, long PriceMicrocredits = 0, long LastSeq = 0);

/// <param name="ReleasedMicrocredits">Held less charged, once the hold is closed; 0 before.</param>
public sealed record JobMoney(
    long HeldMicrocredits, long ChargedMicrocredits, long ReleasedMicrocredits,
    long NodeEarnedMicrocredits, long DeveloperEarnedMicrocredits, long PlatformEarnedMicrocredits, bool HoldClosed);

public sealed record UnitSummary(int UnitIndex, string Status, IReadOnlyList<AttemptSummary> Attempts);

public sealed record AttemptSummary(
    AttemptId AttemptId, int Number, NodeId NodeId, string NodeName, string Runner, string Status, string? FailureClass, string? Reason,
    long? MeteredMilliseconds, DateTimeOffset LeasedAt, DateTimeOffset? EndedAt, PlacementDecision Decision);

/// <summary>Why this node: the candidates on the table and the weights that chose among the Pareto front.</summary>
public sealed record PlacementDecision(
    string Explanation, IReadOnlyList<PlacementCandidate> Candidates, double LatencyWeight, double EarningsWeight, double PriceWeight);

/// <param name="RefusedBecause">Set when the capability filter dropped the node.</param>
public sealed record PlacementCandidate(
    NodeId NodeId, string NodeName, double? LatencyMs, double? EarningsShare, double? PriceMicrocreditsPerMinute,
    double? Score, bool OnParetoFront, bool Chosen, string? RefusedBecause);

/// <summary>p50, p95 and maximum of one budget figure over this job.</summary>
public sealed record TimingSummary(string Name, int Count, double P50Ms, double P95Ms, double MaxMs);

/// <summary><c>GET /v1/jobs/{jobId}/units?from=&amp;count=&amp;status=</c>: units by index, each with its newest attempt.</summary>
/// <param name="NextFrom">Where the next page begins; absent at the end.</param>
/// <param name="LastSeq">Of the job's log, as this answer saw it.</param>
public sealed record UnitPage(IReadOnlyList<UnitRow> Units, int? NextFrom, long LastSeq);

/// <param name="Status">pending, leased, completed, failed or canceled.</param>
/// <param name="Reason">Why it stands so: what it waits for, or what became of it.</param>
public sealed record UnitRow(int UnitIndex, string Status, string? Reason, int AttemptCount, UnitAttempt? Attempt);

/// <summary>An attempt without its decision.</summary>
public sealed record UnitAttempt(
    AttemptId AttemptId, int Number, NodeId NodeId, string NodeName, string Status, string? FailureClass, string? Reason,
    double? Progress, long? MeteredMilliseconds, long? ChargeMicrocredits, DateTimeOffset LeasedAt, DateTimeOffset? EndedAt);

/// <summary><c>GET /v1/jobs/{jobId}/units/{unitIndex}</c>: one unit with all attempts and why each node was chosen.</summary>
public sealed record UnitDetail(int UnitIndex, string Status, string? Reason, IReadOnlyList<AttemptSummary> Attempts, IReadOnlyList<UnitOutput>? Outputs);

/// <summary><c>GET /v1/jobs/{jobId}/outputs?from=&amp;count=</c>: sealed outputs of completed units, by index.</summary>
public sealed record OutputPage(IReadOnlyList<UnitOutputs> Units, int? NextFrom);

public sealed record UnitOutputs(int UnitIndex, IReadOnlyList<UnitOutput> Outputs);

/// <summary><c>GET /v1/jobs/{jobId}/grants/{keyId}</c>: what a holder of the key needs to open the sealed manifest.</summary>
/// <param name="Grants">For the manifest; empty when the job was not sealed for this key.</param>
public sealed record ManifestGrants(AssetRef Manifest, IReadOnlyList<AssetGrant> Grants);
