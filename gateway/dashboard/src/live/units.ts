import type { Change, UnitRow } from '../api/types';

/** Takes one change of a watched job into a unit's row. */
export function applyToUnit(unit: UnitRow, change: Change): UnitRow {
  const { body, kind, at } = change;
  const number = body.attemptNumber ?? unit.attempt?.number ?? 1;
  const isNewAttempt = unit.attempt?.number !== number;
  const base = {
    number,
    nodeName: body.nodeName ?? unit.attempt?.nodeName ?? '',
    leasedAt: isNewAttempt ? at : unit.attempt!.leasedAt,
    ...(body.nodeId !== undefined && { nodeId: body.nodeId }),
    ...(body.attemptId !== undefined && { attemptId: body.attemptId }),
  };
  const { reason: _, ...bare } = unit;
  switch (kind) {
    case 'unitLeased':
      return { ...bare, status: 'leased', attemptCount: Math.max(unit.attemptCount, number), attempt: { ...base, status: 'running' } };
    case 'unitProgress':
      return { ...bare, status: 'leased', attempt: { ...base, status: 'running', ...(body.progress !== undefined && { progress: body.progress }) } };
    case 'unitCompleted':
      return {
        ...bare,
        status: 'completed',
        attempt: { ...base, status: 'completed', progress: 1, endedAt: at, ...(body.chargedMicrocredits !== undefined && { chargeMicrocredits: body.chargedMicrocredits }) },
      };
    case 'unitFailed':
      // The attempt failed; whether the unit gets another one, the next event says.
      return {
        ...unit,
        status: 'pending',
        ...(body.reason !== undefined && { reason: body.reason }),
        attempt: {
          ...base,
          status: 'failed',
          endedAt: at,
          ...(body.failureClass !== undefined && { failureClass: body.failureClass }),
          ...(body.reason !== undefined && { reason: body.reason }),
        },
      };
    default:
      return unit;
  }
}

/** Changes up to <paramref name="lastSeq"/> are in the rows already. */
export function applyToUnits(units: readonly UnitRow[], lastSeq: number, changes: readonly Change[]): readonly UnitRow[] {
  const first = units[0]?.unitIndex ?? 0;
  let next: UnitRow[] | null = null;
  for (const change of changes) {
    const index = change.body.unitIndex;
    const at = index === undefined ? -1 : index - first;
    if (change.seq > lastSeq && at >= 0 && at < units.length && units[at]?.unitIndex === index) {
      next ??= [...units];
      next[at] = applyToUnit(next[at]!, change);
    }
  }
  return next ?? units;
}

/** Units that run right now, by index: those that ran when the page was loaded, and what changed since. */
export function applyToRunning(running: ReadonlyMap<number, UnitRow>, lastSeq: number, changes: readonly Change[]): ReadonlyMap<number, UnitRow> {
  let next: Map<number, UnitRow> | null = null;
  for (const change of changes) {
    const index = change.body.unitIndex;
    if (change.seq <= lastSeq) {
      continue;
    }
    if (change.kind === 'statusChanged' && change.body.status !== 'running' && change.body.status !== 'submitted') {
      next = new Map();
    } else if (index !== undefined) {
      next ??= new Map(running);
      const unit = applyToUnit(next.get(index) ?? { unitIndex: index, status: 'pending', attemptCount: 1 }, change);
      unit.status === 'leased' ? next.set(index, unit) : next.delete(index);
    }
  }
  return next ?? running;
}
