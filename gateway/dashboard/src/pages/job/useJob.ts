import { useCallback, useEffect, useRef, useState } from 'react';
import { getJson } from '../../api/http';
import type { Change, JobSummary, UnitPage, UnitRow } from '../../api/types';
import { Early } from '../../live/early';
import { applyToItem } from '../../live/jobs';
import { useLive } from '../../live/LiveContext';
import { openStream } from '../../live/stream';
import { applyToRunning } from '../../live/units';

const MOST_RUNNING = 200;
const REFRESH_MS = 4_000;

export type Listener = (news: readonly Change[] | 'reset') => void;

/** One job as a whole, kept up by the stream. Parts of the page that show single units listen to the same stream. */
export function useJob(jobId: string) {
  const { setState } = useLive();
  const [job, setJob] = useState<JobSummary | null>(null);
  const [running, setRunning] = useState<ReadonlyMap<number, UnitRow>>(new Map());
  const [error, setError] = useState<unknown>(null);
  const early = useRef(new Early());
  const runningSeq = useRef(0);
  const listeners = useRef(new Set<Listener>());
  const later = useRef<ReturnType<typeof setTimeout>>(undefined);

  const load = useCallback(async () => {
    try {
      const [[summary, page], meanwhile] = await early.current.during(() =>
        Promise.all([
          getJson<JobSummary>(`/v1/jobs/${jobId}?units=none`),
          getJson<UnitPage>(`/v1/jobs/${jobId}/units?status=leased&count=${MOST_RUNNING}`),
        ]),
      );
      runningSeq.current = page.lastSeq;
      setJob(meanwhile.reduce(applyToSummary, summary));
      setRunning(applyToRunning(new Map(page.units.map(unit => [unit.unitIndex, unit])), page.lastSeq, meanwhile));
      setError(null);
    } catch (failure) {
      setError(failure);
    }
  }, [jobId]);

  const loadMoney = useCallback(async () => {
    const [summary, meanwhile] = await early.current.during(() => getJson<JobSummary>(`/v1/jobs/${jobId}?units=none`));
    setJob(meanwhile.reduce(applyToSummary, summary));
  }, [jobId]);

  useEffect(
    () =>
      openStream(
        { job: jobId },
        {
          onReset: () => {
            void load();
            listeners.current.forEach(tell => tell('reset'));
          },
          onChanges: changes => {
            const own = changes.filter(change => change.jobId === jobId);
            if (own.length === 0) {
              return;
            }
            early.current.add(own);
            setJob(before => (before === null ? null : own.reduce(applyToSummary, before)));
            setRunning(before => applyToRunning(before, runningSeq.current, own));
            listeners.current.forEach(tell => tell(own));
            // Who earned what and how long things took no event carries: at once with the end, else now and then.
            if (own.some(change => change.kind === 'statusChanged')) {
              void load();
            } else if (own.some(change => change.kind === 'unitCompleted')) {
              later.current ??= setTimeout(() => {
                later.current = undefined;
                loadMoney().catch(setError);
              }, REFRESH_MS);
            }
          },
          onState: setState,
        },
      ),
    [jobId, load, loadMoney, setState],
  );

  useEffect(() => () => clearTimeout(later.current), []);
  const listen = useCallback((act: Listener) => {
    listeners.current.add(act);
    return () => {
      listeners.current.delete(act);
    };
  }, []);
  return { job, running, error, listen, retry: () => void load() };
}

function applyToSummary(job: JobSummary, change: Change): JobSummary {
  const item = applyToItem({ ...job, chargedMicrocredits: job.money.chargedMicrocredits }, change);
  if (item.lastSeq === job.lastSeq) {
    return job;
  }
  const { chargedMicrocredits, ...rest } = item;
  return { ...job, ...rest, money: { ...job.money, chargedMicrocredits } };
}
