/** What services answer; the names and forms are those of libs/Contracts. */
export type JobStatus = 'submitted' | 'running' | 'completed' | 'failed' | 'canceled';

export interface Session {
  readonly sessionId: string;
  readonly tenantId: string;
  readonly displayName: string;
  /** Of the creator's encryption key: what opens this person's outputs. */
  readonly keyId: string;
  readonly expiresAt: string;
}

export interface JobListItem {
  readonly jobId: string;
  readonly taskId: string;
  readonly module: string;
  readonly status: JobStatus;
  readonly reason?: string;
  readonly unitCount: number;
  readonly unitsCompleted: number;
  readonly unitsFailed: number;
  readonly submittedAt: string;
  readonly endedAt?: string;
  readonly chargedMicrocredits: number;
  readonly priceMicrocredits: number;
  readonly lastSeq: number;
}

export interface JobList {
  readonly jobs: readonly JobListItem[];
  readonly nextCursor?: string;
}

export interface JobMoney {
  readonly heldMicrocredits: number;
  readonly chargedMicrocredits: number;
  readonly releasedMicrocredits: number;
  readonly nodeEarnedMicrocredits: number;
  readonly developerEarnedMicrocredits: number;
  readonly platformEarnedMicrocredits: number;
  readonly holdClosed: boolean;
}

export interface JobSummary extends Omit<JobListItem, 'chargedMicrocredits'> {
  readonly money: JobMoney;
  readonly timings: readonly { name: string; count: number; p50Ms: number; p95Ms: number; maxMs: number }[];
  readonly deadlineAt?: string;
}

export interface UnitAttempt {
  readonly attemptId?: string;
  readonly number: number;
  readonly nodeId?: string;
  readonly nodeName: string;
  readonly status: string;
  readonly failureClass?: string;
  readonly reason?: string;
  readonly progress?: number;
  readonly meteredMilliseconds?: number;
  readonly chargeMicrocredits?: number;
  readonly leasedAt: string;
  readonly endedAt?: string;
}

export interface UnitRow {
  readonly unitIndex: number;
  readonly status: string;
  readonly reason?: string;
  readonly attemptCount: number;
  readonly attempt?: UnitAttempt;
}

export interface UnitPage {
  readonly units: readonly UnitRow[];
  readonly nextFrom?: number;
  readonly lastSeq: number;
}

export interface Candidate {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly latencyMs?: number;
  readonly earningsShare?: number;
  readonly priceMicrocreditsPerMinute?: number;
  readonly score?: number;
  readonly onParetoFront: boolean;
  readonly chosen: boolean;
  readonly refusedBecause?: string;
}

export interface Decision {
  readonly explanation: string;
  readonly candidates: readonly Candidate[];
  readonly latencyWeight: number;
  readonly earningsWeight: number;
  readonly priceWeight: number;
}

export interface AttemptSummary extends UnitAttempt {
  readonly attemptId: string;
  readonly runner: string;
  readonly decision: Decision;
}

export interface UnitDetail {
  readonly unitIndex: number;
  readonly status: string;
  readonly reason?: string;
  readonly attempts: readonly AttemptSummary[];
  readonly outputs?: readonly UnitOutput[];
}

export interface AssetGrant {
  readonly assetId: string;
  readonly recipientKeyId: string;
  /** Base64. */
  readonly encapsulatedKey: string;
  /** Base64. */
  readonly wrappedKey: string;
}

export interface AssetRef {
  readonly assetId: string;
  readonly blobSha256: string;
  readonly sizeBytes: number;
}

export interface UnitOutput extends AssetRef {
  readonly keyedHash: string;
  readonly grants: readonly AssetGrant[];
}

export interface OutputPage {
  readonly units: readonly { readonly unitIndex: number; readonly outputs: readonly UnitOutput[] }[];
  readonly nextFrom?: number;
}

export interface ManifestGrants {
  readonly manifest: AssetRef;
  readonly grants: readonly AssetGrant[];
}

export interface NodeItem {
  readonly nodeId: string;
  readonly name: string;
  readonly status: string;
  readonly capabilities?: {
    readonly deviceKind: 'cpu' | 'gpu';
    readonly slots: number;
    readonly cpuCount: number;
    readonly memoryBytes: number;
    readonly scratchBytes: number;
    readonly runner: string;
    readonly engineRootless: boolean;
    readonly limitsEnforced: boolean;
    readonly agentVersion: string;
  };
  readonly busySlots: number;
  readonly seenAt?: string;
  readonly recipientKeyId: string;
  readonly latencyMs?: number;
  readonly earnedLastDayMicrocredits: number;
  readonly completedLastDay: number;
}

export interface CreditBalance {
  readonly availableMicrocredits: number;
  readonly reservedMicrocredits: number;
  readonly earnedMicrocredits: number;
  readonly earningsPendingMicrocredits: number;
}

/** One entry of a job's log, as the live stream tells it. */
export interface Change {
  readonly jobId: string;
  readonly seq: number;
  readonly kind: 'unknown' | 'submitted' | 'unitLeased' | 'unitProgress' | 'unitCompleted' | 'unitFailed' | 'statusChanged';
  readonly at: string;
  readonly body: {
    readonly status?: JobStatus;
    readonly reason?: string;
    readonly unitIndex?: number;
    readonly unitCount?: number;
    readonly unitsCompleted?: number;
    readonly unitsFailed?: number;
    readonly progress?: number;
    readonly nodeId?: string;
    readonly nodeName?: string;
    readonly attemptId?: string;
    readonly attemptNumber?: number;
    readonly failureClass?: string;
    readonly chargedMicrocredits?: number;
  };
}
