using System.ComponentModel.DataAnnotations;
using RenderTrust.Contracts;

namespace RenderTrust.Scheduler;

/// <summary>What a process of the scheduler does.</summary>
internal enum SchedulerRole
{
    /// <summary>Everything: jobs, nodes, sagas, supervision and placement.</summary>
    All,

    /// <summary>Placement alone, beside replicas that do everything.</summary>
    Placer,
}

/// <summary>Times and rates of the scheduler. Every duration has its unit in its name.</summary>
internal sealed class SchedulerOptions
{
    public const string Section = "Scheduler";

    /// <value>What this process does. Default everything.</value>
    public SchedulerRole Role { get; set; }

    /// <value>What a minute on a CPU node earns its owner. Default 40,000 micro-credits.</value>
    [Range(0, 1_000_000_000)]
    public long CpuNodeRatePerMinuteMicrocredits { get; set; } = 40_000;

    /// <value>What a minute on a GPU node earns its owner. Default 400,000 micro-credits ($0.04).</value>
    [Range(0, 1_000_000_000)]
    public long GpuNodeRatePerMinuteMicrocredits { get; set; } = 400_000;

    /// <value>How long a hold outlives its job's deadline, so that settling never races the sweep. Default one hour.</value>
    [Range(60, 604_800)]
    public int HoldGraceSeconds { get; set; } = 3600;

    /// <value>Added to a unit's device seconds for fetching, opening, sealing and uploading. Default 120.</value>
    [Range(5, 86_400)]
    public int LeaseGraceSeconds { get; set; } = 120;

    /// <value>Silence after which a node counts as lost and its units are leased elsewhere. Default 90.</value>
    [Range(1, 86_400)]
    public int NodeLostAfterSeconds { get; set; } = 90;

    /// <value>How long an offer may stay unacknowledged before its lease is revoked and so verified. Default 10.</value>
    [Range(1, 3600)]
    public int UnacknowledgedSeconds { get; set; } = 10;

    /// <value>How long a restarted agent may take to deliver the result of an attempt that it no longer runs. Default 30.</value>
    [Range(1, 3600)]
    public int MissingAttemptGraceSeconds { get; set; } = 30;

    /// <value>
    /// How long a unit waits that a placer was just giving to a node when it was killed. A live one needs a fraction of it; a claim that runs out
    /// earlier than its lease costs another look. Default 30.
    /// </value>
    [Range(2, 3600)]
    public int ClaimSeconds { get; set; } = 30;

    /// <value>Pause between two revocations of the same attempt while the node does not confirm. Default 10.</value>
    [Range(1, 3600)]
    public int RevocationRetrySeconds { get; set; } = 10;

    /// <value>Refusals of one unit by one node after which that node is out for the unit. Default 5.</value>
    [Range(1, 100)]
    public int RefusalsPerNode { get; set; } = 5;

    /// <value>Failures on different nodes that fail a unit, and with it the job. Default 2.</value>
    [Range(1, 100)]
    public int FailuresPerUnit { get; set; } = 2;

    /// <value>The floor under in-process wake-ups: every loop looks at the tables at least this often. Default 2.</value>
    [Range(0.05, 60)]
    public double PollSeconds { get; set; } = 2;

    /// <value>False leases without the actor hop; the tables decide either way. Default true.</value>
    public bool UseNodeActors { get; set; } = true;

    /// <value>How long a node's actor may take to answer before its work is done here instead. Default 5.</value>
    [Range(0.1, 60)]
    public double NodeActorSeconds { get; set; } = 5;

    /// <value>Allows runners without isolation. Set from RENDERTRUST_ENVIRONMENT, never by configuration files.</value>
    public bool Development { get; set; }

    public long NodeRate(DeviceKind kind) => kind == DeviceKind.Gpu ? GpuNodeRatePerMinuteMicrocredits : CpuNodeRatePerMinuteMicrocredits;

    public TimeSpan Poll => TimeSpan.FromSeconds(PollSeconds);
}
