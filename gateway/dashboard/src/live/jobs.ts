import type { Change, JobListItem } from '../api/types';

/** Takes one change into a job as a list shows it. A change that the item has seen already, by its number, says nothing new. */
export function applyToItem(job: JobListItem, change: Change): JobListItem {
  if (change.jobId !== job.jobId || change.seq <= job.lastSeq) {
    return job;
  }
  const { body, kind } = change;
  const status = body.status ?? job.status;
  const hasEnded = status === 'completed' || status === 'failed' || status === 'canceled';
  // An event of a unit carries that unit's charge, one of the job's end the sum.
  const charged =
    body.chargedMicrocredits === undefined
      ? job.chargedMicrocredits
      : kind === 'unitCompleted'
        ? job.chargedMicrocredits + body.chargedMicrocredits
        : body.chargedMicrocredits;
  return {
    ...job,
    status,
    unitCount: body.unitCount ?? job.unitCount,
    unitsCompleted: Math.max(job.unitsCompleted, body.unitsCompleted ?? 0),
    unitsFailed: body.unitsFailed ?? job.unitsFailed,
    chargedMicrocredits: charged,
    lastSeq: change.seq,
    ...(kind === 'statusChanged' && body.reason !== undefined && { reason: body.reason }),
    ...(hasEnded && { endedAt: job.endedAt ?? change.at }),
  };
}

/** @returns the list with the changes in it, and whether it names a job that the list does not have. */
export function applyToList(jobs: readonly JobListItem[], changes: readonly Change[]): { jobs: readonly JobListItem[]; hasUnknown: boolean } {
  const byId = new Map<string, Change[]>();
  for (const change of changes) {
    const known = byId.get(change.jobId);
    known === undefined ? byId.set(change.jobId, [change]) : known.push(change);
  }
  let changed = false;
  const next = jobs.map(job => {
    const own = byId.get(job.jobId);
    byId.delete(job.jobId);
    const after = own === undefined ? job : own.reduce(applyToItem, job);
    changed ||= after !== job;
    return after;
  });
  return { jobs: changed ? next : jobs, hasUnknown: [...byId.values()].some(own => own.some(change => change.kind === 'submitted')) };
}
