using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Contracts;

public enum DeviceKind
{
    Cpu,
    Gpu,
}

/// <summary>What a node says of itself when its stream opens.</summary>
/// <param name="ScratchBytes">Memory-backed space for opened assets of one attempt.</param>
/// <param name="Runner"><c>docker</c>, <c>bubblewrap</c>, <c>process</c>, <c>simulate</c>.</param>
public sealed record NodeCapabilities(
    DeviceKind DeviceKind,
    [property: Range(1, 1024)] int Slots,
    int CpuCount,
    long MemoryBytes,
    long ScratchBytes,
    string Runner,
    bool EngineRootless,
    bool LimitsEnforced,
    string AgentVersion);

/// <summary>Hub to scheduler: <c>POST /internal/node-sessions</c>. Identity facts come from the client certificate.</summary>
/// <param name="RunningAttempts">From the node's hello: what it runs or still has to report. Absent = unknown; attempts missing from it are settled.</param>
public sealed record OpenNodeSessionRequest(
    NodeId NodeId, TenantId OwnerTenantId, string Name, string RecipientKeyId, string HubAppId, NodeCapabilities Capabilities,
    IReadOnlyList<AttemptId>? RunningAttempts = null);

/// <param name="Epoch">Rises with every session of the node; frames of an older epoch are refused.</param>
/// <param name="LiveAttempts">Attempts that the table still counts as live on this node; the agent drops all others.</param>
/// <param name="Live">The same attempts with their jobs' tenants, so that the hub can look for the outputs that a result names. Absent from an older scheduler.</param>
public sealed record OpenNodeSessionResponse(long Epoch, IReadOnlyList<AttemptId> LiveAttempts, IReadOnlyList<LiveAttempt>? Live = null);

/// <summary>An attempt and whose job it is part of.</summary>
/// <param name="JobId">As the creator calls the job; absent when the attempt is not traced.</param>
/// <param name="TraceParent">W3C traceparent that the job's trace goes on from; absent when the attempt is not traced.</param>
public sealed record LiveAttempt(AttemptId AttemptId, TenantId TenantId, JobId? JobId = null, string? TraceParent = null);

/// <summary><c>POST /internal/node-sessions/closed</c>; a closed stream is not yet a lost node.</summary>
public sealed record CloseNodeSessionRequest(NodeId NodeId, long Epoch);

/// <summary><c>POST /internal/node-heartbeats</c>: one batch per hub and interval.</summary>
public sealed record NodeHeartbeatBatch(string HubAppId, IReadOnlyList<NodeHeartbeat> Heartbeats);

public sealed record NodeHeartbeat(NodeId NodeId, long Epoch, DateTimeOffset SeenAt, double RoundTripMs, int BusySlots);

/// <summary><c>GET /v1/nodes</c>: the caller's own nodes.</summary>
public sealed record NodeList(IReadOnlyList<NodeListItem> Nodes);

/// <param name="LatencyMs">Smoothed round trip of its stream; absent until it was measured.</param>
/// <param name="EarnedLastDayMicrocredits">Its share of what was charged for units that it completed in the last 24 h.</param>
public sealed record NodeListItem(
    NodeId NodeId, string Name, string Status, NodeCapabilities? Capabilities, int BusySlots, DateTimeOffset? SeenAt, string RecipientKeyId,
    double? LatencyMs = null, long EarnedLastDayMicrocredits = 0, int CompletedLastDay = 0);
