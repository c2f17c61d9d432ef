namespace RenderTrust.Contracts;

/// <summary><c>GET /v1/jobs</c>.</summary>
public sealed record JobList(IReadOnlyList<JobListItem> Jobs, string? NextCursor);

public sealed record JobListItem(
    JobId JobId, TaskId TaskId, string Module, JobStatus Status, string? Reason,
    int UnitCount, int UnitsCompleted, int UnitsFailed, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt);

/// <summary><c>GET /v1/jobs/{jobId}</c>: everything that explains a job and its cost.</summary>
public sealed record JobSummary(
    JobId JobId, TaskId TaskId, string Module, JobStatus Status, string? Reason,
    int UnitCount, int UnitsCompleted, int UnitsFailed, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt,
    JobMoney Money, IReadOnlyList<UnitSummary> Units, IReadOnlyList<TimingSummary> Timings);

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
