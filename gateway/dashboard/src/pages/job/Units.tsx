import { useCallback, useEffect, useRef, useState } from 'react';
import { getJson } from '../../api/http';
import type { UnitPage, UnitRow } from '../../api/types';
import { Early } from '../../live/early';
import { applyToUnits } from '../../live/units';
import { Failure, Skeleton } from '../../parts/Panels';
import { Pager } from '../../parts/Pager';
import { useQuery } from '../../parts/router';
import { lookOf } from '../../parts/Status';
import type { Listener } from './useJob';

const UNITS_PER_PAGE = 240;
const SHOWN = ['completed', 'leased', 'pending', 'failed', 'canceled'] as const;

const FILLS: Record<string, string> = {
  completed: 'bg-ok-soft text-ok border-ok/30',
  leased: 'bg-run-soft text-run border-run/40',
  failed: 'bg-bad-soft text-bad border-bad/40',
  canceled: 'bg-sunken text-muted border-line line-through',
};

/** A square a unit. Many jobs have more units than a page can hold, so they come in pages. */
export function Units({ jobId, unitCount, listen, onOpen, opened }: { jobId: string; unitCount: number; listen: (act: Listener) => () => void; onOpen: (unitIndex: number) => void; opened: string }) {
  const [pageText, setPage] = useQuery('units');
  const pages = Math.max(1, Math.ceil(unitCount / UNITS_PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(pageText, 10) || 1)) - 1;
  const from = page * UNITS_PER_PAGE;
  const to = Math.min(unitCount, from + UNITS_PER_PAGE);
  const [units, setUnits] = useState<readonly UnitRow[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const lastSeq = useRef(0);
  const early = useRef(new Early());

  const load = useCallback(
    async (signal?: AbortSignal) => {
      try {
        const [answer, meanwhile] = await early.current.during(() => getJson<UnitPage>(`/v1/jobs/${jobId}/units?from=${from}&count=${UNITS_PER_PAGE}`, signal));
        lastSeq.current = answer.lastSeq;
        setUnits(applyToUnits(answer.units, answer.lastSeq, meanwhile));
        setError(null);
      } catch (failure) {
        if (!signal?.aborted) {
          setError(failure);
        }
      }
    },
    [jobId, from],
  );
  useEffect(() => {
    const aborter = new AbortController();
    setUnits(null);
    void load(aborter.signal);
    return () => aborter.abort();
  }, [load]);
  useEffect(
    () =>
      listen(news => {
        // The end of a job changes units that no event names, such as those that are canceled with it.
        if (news === 'reset' || news.some(change => change.kind === 'statusChanged')) {
          void load();
          return;
        }
        early.current.add(news);
        setUnits(before => (before === null ? null : applyToUnits(before, lastSeq.current, news)));
      }),
    [listen, load],
  );

  if (error !== null) {
    return <Failure error={error} onRetry={() => void load()} />;
  }
  if (units === null) {
    return <Skeleton rows={4} label="Loading units" />;
  }
  return (
    <div className="card p-4">
      <Legend units={units} />
      <ul className="mt-3.5 grid grid-cols-[repeat(auto-fill,minmax(2.75rem,1fr))] gap-1.5" aria-label="Units">
        {units.map(unit => (
          <li key={unit.unitIndex}>
            <Cell unit={unit} isOpen={opened === String(unit.unitIndex)} onOpen={onOpen} />
          </li>
        ))}
      </ul>
      <Pager page={page} pages={pages} what="units" from={from} to={to} total={unitCount} onPage={next => setPage(next === 0 ? '' : String(next + 1))} />
    </div>
  );
}

function Cell({ unit, isOpen, onOpen }: { unit: UnitRow; isOpen: boolean; onOpen: (unitIndex: number) => void }) {
  const { label } = lookOf(unit.status);
  const { attempt } = unit;
  const progress = unit.status === 'leased' ? Math.round((attempt?.progress ?? 0) * 100) : null;
  const told = [
    `Unit ${unit.unitIndex}: ${label}`,
    progress !== null && `${progress} %`,
    attempt !== undefined && attempt.nodeName !== '' && `on ${attempt.nodeName}`,
    unit.attemptCount > 1 && `attempt ${unit.attemptCount}`,
    unit.reason,
  ]
    .filter(Boolean)
    .join(', ');
  return (
    <button
      type="button"
      data-unit={unit.unitIndex}
      data-status={unit.status}
      aria-label={told}
      title={told}
      aria-pressed={isOpen}
      onClick={() => onOpen(unit.unitIndex)}
      className={`relative h-9 w-full overflow-hidden rounded border text-xs font-medium ${FILLS[unit.status] ?? 'border-line-strong bg-surface text-muted'} ${isOpen ? 'ring-2 ring-accent' : ''}`}
    >
      {progress !== null && <span className="absolute inset-x-0 bottom-0 bg-run-fill/25 transition-[height] duration-500" style={{ height: `${progress}%` }} />}
      <span className="relative">{unit.unitIndex}</span>
      {unit.attemptCount > 1 && <span className="absolute right-0.5 top-0 text-[9px]">×{unit.attemptCount}</span>}
    </button>
  );
}

const Legend = ({ units }: { units: readonly UnitRow[] }) => (
  <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted" aria-label="States on this page">
    {SHOWN.map(status => [status, units.filter(unit => unit.status === status).length] as const)
      .filter(([, many]) => many > 0)
      .map(([status, many]) => (
        <li key={status} className="flex items-center gap-1.5">
          <span className={`size-3 rounded-sm border ${FILLS[status] ?? 'border-line-strong bg-surface'}`} aria-hidden="true" />
          {lookOf(status).label} {many}
        </li>
      ))}
  </ul>
);
