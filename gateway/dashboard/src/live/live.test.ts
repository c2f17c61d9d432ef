import { describe, expect, test } from 'vitest';
import type { Change, JobListItem, UnitRow } from '../api/types';
import { Early } from './early';
import { applyToItem, applyToList } from './jobs';
import { applyToRunning, applyToUnits } from './units';

const job: JobListItem = {
  jobId: 'a',
  taskId: 't',
  module: 'povray@1.0.0',
  status: 'submitted',
  reason: 'Accepted; waits for a node.',
  unitCount: 3,
  unitsCompleted: 0,
  unitsFailed: 0,
  submittedAt: '2026-01-01T00:00:00Z',
  chargedMicrocredits: 0,
  priceMicrocredits: 900,
  lastSeq: 1,
};

const change = (seq: number, kind: Change['kind'], body: Change['body'] = {}, jobId = 'a'): Change => ({ jobId, seq, kind, at: `2026-01-01T00:00:0${seq}Z`, body });

const unit = (unitIndex: number, status = 'pending'): UnitRow => ({ unitIndex, status, attemptCount: 0 });

describe('a job in a list', () => {
  test('adds up what its units cost, and takes the sum that its end tells', () => {
    const news = [
      change(2, 'statusChanged', { status: 'running', reason: 'The first unit runs.' }),
      change(3, 'unitCompleted', { unitIndex: 0, unitsCompleted: 1, chargedMicrocredits: 100 }),
      change(4, 'unitCompleted', { unitIndex: 1, unitsCompleted: 2, chargedMicrocredits: 150 }),
    ];
    const running = news.reduce(applyToItem, job);
    expect(running).toMatchObject({ status: 'running', unitsCompleted: 2, chargedMicrocredits: 250, lastSeq: 4 });
    expect(running.endedAt).toBeUndefined();

    const ended = applyToItem(running, change(5, 'statusChanged', { status: 'completed', unitsCompleted: 3, chargedMicrocredits: 300 }));
    expect(ended).toMatchObject({ status: 'completed', unitsCompleted: 3, chargedMicrocredits: 300, endedAt: '2026-01-01T00:00:05Z' });
  });

  test('takes each change once, however often it is told', () => {
    const once = applyToItem(job, change(2, 'unitCompleted', { unitsCompleted: 1, chargedMicrocredits: 100 }));
    expect(applyToItem(once, change(2, 'unitCompleted', { unitsCompleted: 1, chargedMicrocredits: 100 }))).toBe(once);
  });

  test('ignores what it saw when it was loaded, and other jobs', () => {
    expect(applyToItem(job, change(1, 'submitted', { status: 'submitted' }))).toBe(job);
    expect(applyToItem(job, change(9, 'statusChanged', { status: 'failed' }, 'b'))).toBe(job);
  });
});

describe('a list', () => {
  test('stays the same object when nothing of it changed', () => {
    const jobs = [job];
    expect(applyToList(jobs, [change(1, 'submitted')])).toEqual({ jobs, hasUnknown: false });
    expect(applyToList(jobs, [change(1, 'submitted')]).jobs).toBe(jobs);
  });

  test('knows that a new job came, and that an old one that is not loaded did not', () => {
    expect(applyToList([job], [change(1, 'submitted', {}, 'new')]).hasUnknown).toBe(true);
    expect(applyToList([job], [change(7, 'unitCompleted', {}, 'old')]).hasUnknown).toBe(false);
  });
});

describe('units of a page', () => {
  test('go from waiting over running to completed', () => {
    const page = [unit(240), unit(241)];
    const leased = applyToUnits(page, 1, [change(2, 'unitLeased', { unitIndex: 241, nodeName: 'node-1', attemptNumber: 1 })]);
    expect(leased[1]).toMatchObject({ status: 'leased', attemptCount: 1, attempt: { nodeName: 'node-1', status: 'running' } });
    const half = applyToUnits(leased, 1, [change(3, 'unitProgress', { unitIndex: 241, progress: 0.5 })]);
    expect(half[1]).toMatchObject({ attempt: { progress: 0.5, nodeName: 'node-1', leasedAt: '2026-01-01T00:00:02Z' } });
    const done = applyToUnits(half, 1, [change(4, 'unitCompleted', { unitIndex: 241, chargedMicrocredits: 9 })]);
    expect(done[1]).toMatchObject({ status: 'completed', attempt: { chargeMicrocredits: 9 } });
    expect(done[0]).toBe(page[0]);
  });

  test('say why an attempt failed, and forget it with the next attempt', () => {
    const failed = applyToUnits([unit(0)], 0, [change(1, 'unitFailed', { unitIndex: 0, reason: 'node-1 fell silent', failureClass: 'node_lost', attemptNumber: 1 })]);
    expect(failed[0]).toMatchObject({ status: 'pending', reason: 'node-1 fell silent', attempt: { status: 'failed', failureClass: 'node_lost' } });
    const again = applyToUnits(failed, 0, [change(2, 'unitLeased', { unitIndex: 0, nodeName: 'node-2', attemptNumber: 2 })]);
    expect(again[0]).toMatchObject({ status: 'leased', attemptCount: 2, attempt: { nodeName: 'node-2', leasedAt: '2026-01-01T00:00:02Z' } });
    expect(again[0]!.reason).toBeUndefined();
  });

  test('of other pages are nobody’s here, and what the page held already is passed over', () => {
    const page = [unit(240)];
    expect(applyToUnits(page, 5, [change(6, 'unitLeased', { unitIndex: 0 }), change(5, 'unitLeased', { unitIndex: 240 })])).toBe(page);
  });
});

test('what runs now follows leases and ends, and is nothing when the job is over', () => {
  const running = applyToRunning(new Map([[4, unit(4, 'leased')]]), 1, [
    change(2, 'unitLeased', { unitIndex: 5 }),
    change(3, 'unitCompleted', { unitIndex: 4 }),
    change(4, 'unitProgress', { unitIndex: 5, progress: 0.25 }),
  ]);
  expect([...running.keys()]).toEqual([5]);
  expect(running.get(5)?.attempt?.progress).toBe(0.25);
  expect(applyToRunning(running, 1, [change(5, 'statusChanged', { status: 'canceled' })]).size).toBe(0);
});

test('what comes during a load goes in after it, and nothing is kept afterwards', async () => {
  const early = new Early();
  early.add([change(1, 'submitted')]);
  const [, meanwhile] = await early.during(async () => early.add([change(2, 'unitLeased')]));
  expect(meanwhile.map(one => one.seq)).toEqual([2]);
  early.add([change(3, 'unitLeased')]);
  const [, again] = await early.during(async () => undefined);
  expect(again).toEqual([]);
});

test('of two loads at once the first to begin hears everything since', async () => {
  const early = new Early();
  let finish: () => void = () => undefined;
  const slow = early.during(() => new Promise<void>(resolve => (finish = resolve)));
  early.add([change(1, 'submitted')]);
  await early.during(async () => early.add([change(2, 'unitLeased')]));
  early.add([change(3, 'unitCompleted')]);
  finish();
  expect((await slow)[1].map(one => one.seq)).toEqual([1, 2, 3]);
});
