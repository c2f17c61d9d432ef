import { useCallback, useEffect, useState } from 'react';
import { getJson } from '../../api/http';
import type { AttemptSummary, Candidate, Decision, UnitDetail, UnitOutput } from '../../api/types';
import type { OutputOpener } from '../../frames/openOutput';
import { useOutput } from '../../frames/useOutput';
import { bytes, credits, duration, exact, milliseconds } from '../../parts/format';
import { Icon } from '../../parts/icons';
import { Failure, Skeleton } from '../../parts/Panels';
import { Status } from '../../parts/Status';
import type { Listener } from './useJob';

/** One unit in full, over the right half of the page: outputs, attempts, and why each went to its node. */
export function UnitPanel({ jobId, unitIndex, opener, listen, onClose }: { jobId: string; unitIndex: string; opener: OutputOpener | null; listen: (act: Listener) => () => void; onClose: () => void }) {
  const [unit, setUnit] = useState<UnitDetail | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(() => {
    getJson<UnitDetail>(`/v1/jobs/${jobId}/units/${encodeURIComponent(unitIndex)}`).then(
      detail => {
        setUnit(detail);
        setError(null);
      },
      (failure: unknown) => setError(failure),
    );
  }, [jobId, unitIndex]);
  useEffect(load, [load]);
  useEffect(
    () =>
      listen(news => {
        const isOwn = news === 'reset' || news.some(change => String(change.body.unitIndex) === unitIndex && change.kind !== 'unitProgress');
        if (isOwn) {
          load();
        }
      }),
    [listen, load, unitIndex],
  );

  return (
    <section aria-label={`Unit ${unitIndex}`} className="fixed inset-y-0 right-0 z-20 flex w-full max-w-2xl flex-col overflow-y-auto border-l border-line-strong bg-surface shadow-2xl">
      <header className="sticky top-0 z-10 flex items-center gap-3 border-b border-line bg-surface px-5 py-3">
        <h2 className="font-semibold">Unit {unitIndex}</h2>
        {unit !== null && <Status status={unit.status} />}
        <button type="button" onClick={onClose} aria-label="Close (Esc)" title="Close (Esc)" className="ml-auto grid size-8 place-items-center rounded-md text-muted hover:bg-sunken hover:text-ink">
          <Icon name="cross" />
        </button>
      </header>
      <div className="space-y-5 p-5">
        {error !== null && <Failure error={error} onRetry={load} />}
        {error === null && unit === null && <Skeleton rows={3} label="Loading the unit" />}
        {unit?.reason !== undefined && <p className={`rounded-md px-3 py-2 text-[13px] ${unit.status === 'failed' ? 'bg-bad-soft text-bad' : 'bg-sunken'}`}>{unit.reason}</p>}
        {unit?.outputs?.map(output => <Output key={output.blobSha256} output={output} opener={opener} />)}
        {unit !== null && unit.attempts.length === 0 && <p className="text-muted">It has not been given to a node yet.</p>}
        {unit?.attempts.toReversed().map(attempt => <Attempt key={attempt.attemptId} attempt={attempt} />)}
      </div>
    </section>
  );
}

function Output({ output, opener }: { output: UnitOutput; opener: OutputOpener | null }) {
  const state = useOutput(opener, output);
  return (
    <figure className="overflow-hidden rounded-lg border border-line">
      {state.kind === 'opened' && state.output.imageType !== null && <img src={state.output.url} alt={state.output.name} className="checkers max-h-80 w-full object-contain" />}
      <figcaption className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line px-3 py-2 text-xs text-muted">
        {state.kind === 'opened' && (
          <>
            <span className="font-medium text-ink">{state.output.name}</span>
            <span>{bytes(state.output.sizeBytes)}</span>
            <a href={state.output.url} download={state.output.name.split('/').at(-1)} className="ml-auto inline-flex items-center gap-1 font-medium text-accent hover:underline">
              <Icon name="download" size={14} /> Download
            </a>
          </>
        )}
        {opener === null && <span>Sealed, {bytes(output.sizeBytes)}. This browser has no key to open it with.</span>}
        {state.kind === 'failed' && <span className="text-bad">{state.error.message}</span>}
      </figcaption>
    </figure>
  );
}

const Attempt = ({ attempt }: { attempt: AttemptSummary }) => (
  <article className="rounded-lg border border-line">
    <header className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2.5">
      <h3 className="font-medium">Attempt {attempt.number}</h3>
      <Status status={attempt.status} />
      <span className="text-[13px] text-muted">
        on {attempt.nodeName} ({attempt.runner})
      </span>
    </header>
    <div className="space-y-4 p-4">
      {attempt.reason !== undefined && (
        <p className="text-[13px] text-bad">
          {attempt.failureClass !== undefined && <strong className="mr-2 font-semibold">{attempt.failureClass}</strong>}
          {attempt.reason}
        </p>
      )}
      <dl className="grid grid-cols-2 gap-x-6 gap-y-1 text-[13px] sm:grid-cols-3">
        <Fact name="Leased" value={exact(attempt.leasedAt)} />
        <Fact name="Took" value={attempt.endedAt === undefined ? 'still runs' : duration(Date.parse(attempt.endedAt) - Date.parse(attempt.leasedAt))} />
        <Fact name="Metered" value={attempt.meteredMilliseconds === undefined ? '–' : duration(attempt.meteredMilliseconds)} />
      </dl>
      <Why decision={attempt.decision} />
    </div>
  </article>
);

const Fact = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt className="text-xs text-muted">{name}</dt>
    <dd>{value}</dd>
  </div>
);

/** The whole decision: every node that was on the table, and what spoke for or against it. */
function Why({ decision }: { decision: Decision }) {
  const percent = (weight: number): string => `${Math.round(weight * 100)} %`;
  const head = 'pb-1.5 pr-3 text-left font-normal';
  return (
    <section aria-label="Why this node">
      <h4 className="text-xs font-semibold uppercase tracking-wide text-muted">Why this node</h4>
      <p className="mt-1.5 text-[13px]">{decision.explanation}</p>
      <div className="mt-3 overflow-x-auto" role="group" aria-label="Candidates" tabIndex={0}>
        <table className="w-full text-[13px]">
          <thead className="text-xs text-muted">
            <tr>
              <th scope="col" className={head}>
                Candidate
              </th>
              <th scope="col" className={`${head} text-right`}>
                Latency, {percent(decision.latencyWeight)}
              </th>
              <th scope="col" className={`${head} text-right`}>
                Earnings, {percent(decision.earningsWeight)}
              </th>
              <th scope="col" className={`${head} text-right`}>
                Price, {percent(decision.priceWeight)}
              </th>
              <th scope="col" className={`${head} pr-0! text-right`}>
                Score
              </th>
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {decision.candidates.map(candidate => (
              <CandidateRow key={candidate.nodeId} candidate={candidate} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function CandidateRow({ candidate }: { candidate: Candidate }) {
  const cell = 'py-1.5 pr-3 text-right';
  return (
    <tr className={candidate.chosen ? 'font-medium' : ''}>
      <td className="py-1.5 pr-3">
        <span className="flex items-center gap-1.5">
          {candidate.nodeName}
          {candidate.chosen && <span className="rounded bg-accent-soft px-1.5 text-xs text-accent">chosen</span>}
          {!candidate.chosen && candidate.onParetoFront && <span className="rounded bg-sunken px-1.5 text-xs text-muted">on the front</span>}
        </span>
        {candidate.refusedBecause !== undefined && <span className="block text-xs text-muted">{candidate.refusedBecause}</span>}
      </td>
      <td className={cell}>{candidate.latencyMs === undefined ? '–' : milliseconds(candidate.latencyMs)}</td>
      <td className={cell}>{candidate.earningsShare === undefined ? '–' : `${(candidate.earningsShare * 100).toFixed(1)} %`}</td>
      <td className={cell}>{candidate.priceMicrocreditsPerMinute === undefined ? '–' : `${credits(candidate.priceMicrocreditsPerMinute)} cr/min`}</td>
      <td className={`${cell} pr-0!`}>{candidate.score === undefined ? '–' : candidate.score.toFixed(3)}</td>
    </tr>
  );
}
