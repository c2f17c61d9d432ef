import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { getJson } from '../api/http';
import type { Change, OutputPage, UnitOutput } from '../api/types';
import { Icon } from '../parts/icons';
import { Failure } from '../parts/Panels';
import { Pager } from '../parts/Pager';
import { bytes, count } from '../parts/format';
import { useQuery } from '../parts/router';
import { Lightbox } from './Lightbox';
import type { OutputOpener } from './openOutput';
import { useOutput } from './useOutput';

export const FRAMES_PER_PAGE = 24;

/** One output of one unit; most modules make one, a picture. */
export interface Frame {
  readonly unitIndex: number;
  readonly output: UnitOutput;
}

/** Short and unique within a job: for the address and for React. */
const nameOf = ({ unitIndex, output }: Frame): string => `${unitIndex}-${output.assetId.slice(-12)}`;

interface FramesProps {
  readonly jobId: string;
  readonly unitCount: number;
  /** No frame will come any more. */
  readonly isOver: boolean;
  readonly opener: OutputOpener | null;
  readonly listen: (act: (changes: readonly Change[] | 'reset') => void) => () => void;
}

/** A page of a job's frames by unit. Each appears as soon as its unit is done, without the others being asked for again. */
export function Frames({ jobId, unitCount, isOver, opener, listen }: FramesProps) {
  const [pageText, setPage] = useQuery('page');
  const [shownText, setShown] = useQuery('frame');
  const pages = Math.max(1, Math.ceil(unitCount / FRAMES_PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(pageText, 10) || 1)) - 1;
  const from = page * FRAMES_PER_PAGE;
  const size = Math.min(FRAMES_PER_PAGE, unitCount - from);
  const [frames, setFrames] = useState<ReadonlyMap<number, readonly UnitOutput[]> | null>(null);
  const [error, setError] = useState<unknown>(null);

  const load = useCallback(
    async (first: number, many: number, isWhole: boolean, signal?: AbortSignal) => {
      try {
        const answer = await getJson<OutputPage>(`/v1/jobs/${jobId}/outputs?from=${first}&count=${many}`, signal);
        const fresh = answer.units.filter(unit => unit.unitIndex >= first && unit.unitIndex < first + many);
        setFrames(before => new Map([...(isWhole || before === null ? [] : before), ...fresh.map(unit => [unit.unitIndex, unit.outputs] as const)]));
        setError(null);
      } catch (failure) {
        if (!signal?.aborted) {
          setError(failure);
        }
      }
    },
    [jobId],
  );

  useEffect(() => {
    const aborter = new AbortController();
    setFrames(null);
    void load(from, size, true, aborter.signal);
    return () => aborter.abort();
  }, [load, from, size]);

  useEffect(
    () =>
      listen(news => {
        if (news === 'reset') {
          void load(from, size, true);
          return;
        }
        const done = news.filter(change => change.kind === 'unitCompleted').map(change => change.body.unitIndex ?? -1);
        const here = done.filter(index => index >= from && index < from + size);
        if (here.length > 0) {
          const first = Math.min(...here);
          void load(first, Math.max(...here) - first + 1, false);
        }
      }),
    [listen, load, from, size],
  );

  const all = useMemo(
    () => [...(frames ?? [])].sort(([a], [b]) => a - b).flatMap(([unitIndex, outputs]) => outputs.map((output): Frame => ({ unitIndex, output }))),
    [frames],
  );
  const shown = all.findIndex(frame => nameOf(frame) === shownText);

  if (error !== null) {
    return <Failure error={error} onRetry={() => void load(from, size, true)} />;
  }
  return (
    <div>
      <ul className="grid grid-cols-2 gap-3 sm:grid-cols-3 xl:grid-cols-4" aria-label="Frames">
        {Array.from({ length: size }, (_, i) => from + i).flatMap(unitIndex => {
          const outputs = frames?.get(unitIndex) ?? [];
          return outputs.length === 0
            ? [<Waiting key={unitIndex} unitIndex={unitIndex} isLoading={frames === null} isOver={isOver} />]
            : outputs.map(output => <Tile key={nameOf({ unitIndex, output })} frame={{ unitIndex, output }} opener={opener} onOpen={() => setShown(nameOf({ unitIndex, output }), 'push')} />);
        })}
      </ul>
      <Pager page={page} pages={pages} what="frames" from={from} to={from + size} total={unitCount} onPage={next => setPage(next === 0 ? '' : String(next + 1))} />
      {shown >= 0 && opener !== null && (
        <Lightbox
          frame={all[shown]!}
          opener={opener}
          place={`${count(shown + 1)} of ${count(all.length)}`}
          onClose={() => setShown('')}
          onMove={step => setShown(nameOf(all[(shown + step + all.length) % all.length]!))}
        />
      )}
    </div>
  );
}

const Waiting = ({ unitIndex, isLoading, isOver }: { unitIndex: number; isLoading: boolean; isOver: boolean }) => (
  <li className="overflow-hidden rounded-lg border border-dashed border-line-strong">
    <div className={`grid aspect-video place-items-center text-muted ${isLoading ? 'animate-pulse bg-sunken' : ''}`}>{!isLoading && <Icon name={isOver ? 'ban' : 'clock'} size={18} />}</div>
    <div className="flex justify-between border-t border-dashed border-line-strong px-2.5 py-1.5 text-xs text-muted">
      <span>Unit {unitIndex}</span>
      <span>{isLoading ? '' : isOver ? 'no frame' : 'not there yet'}</span>
    </div>
  </li>
);

function Tile({ frame, opener, onOpen }: { frame: Frame; opener: OutputOpener | null; onOpen: () => void }) {
  const [ref, isNear] = useIsNear<HTMLLIElement>();
  const state = useOutput(isNear ? opener : null, frame.output);
  const name = state.kind === 'opened' ? state.output.name : `Unit ${frame.unitIndex}`;
  return (
    <li ref={ref} className="group overflow-hidden rounded-lg border border-line bg-surface focus-within:border-accent">
      <button type="button" onClick={onOpen} disabled={state.kind !== 'opened'} className="block w-full text-left" data-frame={frame.unitIndex}>
        <div className="checkers grid aspect-video place-items-center overflow-hidden">
          {opener === null && <Icon name="lock" size={18} className="text-muted" />}
          {opener !== null && state.kind === 'opening' && <div className="size-full animate-pulse bg-sunken" />}
          {state.kind === 'opened' &&
            (state.output.imageType !== null ? (
              <img src={state.output.url} alt="" className="size-full object-contain transition-transform duration-200 group-hover:scale-[1.02]" />
            ) : (
              <Icon name="file" size={24} className="text-muted" />
            ))}
          {state.kind === 'failed' && <p className="p-3 text-xs text-bad">{state.error.message}</p>}
        </div>
        <div className="flex justify-between gap-2 border-t border-line px-2.5 py-1.5 text-xs">
          <span className="truncate font-medium">
            {state.kind === 'opened' && <span className="sr-only">Open </span>}
            {name}
            {state.kind === 'opened' && <span className="sr-only"> of unit {frame.unitIndex}</span>}
          </span>
          <span className="shrink-0 text-muted">{state.kind === 'opened' ? bytes(state.output.sizeBytes) : ''}</span>
        </div>
      </button>
    </li>
  );
}

/** Frames far below are fetched and opened when they come near. */
function useIsNear<T extends Element>(): readonly [React.RefObject<T | null>, boolean] {
  const ref = useRef<T>(null);
  const [isNear, set] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver(entries => entries.some(entry => entry.isIntersecting) && set(true), { rootMargin: '400px' });
    if (ref.current !== null) {
      watcher.observe(ref.current);
    }
    return () => watcher.disconnect();
  }, []);
  return [ref, isNear];
}
